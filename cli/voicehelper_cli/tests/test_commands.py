"""Every command against a whole platform, as a user runs it."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration
FACT = "The Zephyr warranty lasts forty-two months from the day of delivery."


@pytest.fixture(scope="module")
def documents(platform: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of every kind of document, added to acme."""
    folder = tmp_path_factory.mktemp("documents")
    (folder / "warranty.md").write_text(f"# Warranty\n\nGrüße aus Köln.\n\n{FACT}\n")
    (folder / "returns.txt").write_text("Parcels can be returned within thirty days.\n")
    (folder / "hours.html").write_text("<html><body><h1>Hours</h1><p>The shop opens at nine.</p></body></html>")
    shipping = {"id": "doc_shipping", "title": "Shipping", "content": "Shipping to islands takes six days."}
    (folder / "shipping.json").write_text(json.dumps(shipping))
    report = json.loads(platform.cli("knowledge", "add", "--tenant", "acme", str(folder), "--json").stdout)
    assert (report["total"], report["indexed"], report["failed"]) == (4, 4, {})
    return folder


def claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return decoded


def test_get_in_every_shape(platform: Any) -> None:
    listed = json.loads(platform.cli("get", "tenants", "-o", "json").stdout)
    assert {"acme", "globex"} <= {item["metadata"]["name"] for item in listed["items"]}
    one = platform.resource("tenant", "acme")
    assert one["status"]["tenantId"] == next(
        item["status"]["tenantId"] for item in listed["items"] if item["metadata"]["name"] == "acme"
    )
    table = platform.cli("get", "tn").stdout.splitlines()
    assert table[0].split()[:4] == ["NAME", "PLAN", "CELL", "READY"]
    assert "kind: TenantList" in platform.cli("get", "tenants", "-o", "yaml").stdout
    for kind in ("cells", "plans", "cellclasses"):
        assert json.loads(platform.cli("get", kind, "-o", "json").stdout)["items"]


def test_describe_tells_the_story(platform: Any) -> None:
    text = platform.cli("describe", "tenant/globex").stdout
    for word in ("planRef: enterprise", "Conditions:", "Ready", "Events:"):
        assert word in text


def test_apply_and_delete_a_tenant_of_its_own(platform: Any) -> None:
    manifest = (
        "apiVersion: voicehelper.io/v1alpha1\nkind: Tenant\nmetadata: {name: initech}\n"
        "spec: {planRef: team, admin: {email: admin@initech.example}, deletion: {policy: Delete}}\n"
    )
    assert platform.cli("apply", "-f", "-", stdin=manifest).stdout == "tenant/initech created\n"
    platform.cli("wait", "tenant/initech", "--for", "condition=Ready", "--timeout", "60s")
    assert platform.cli("apply", "-f", "-", stdin=manifest).stdout == "tenant/initech unchanged\n"
    assert claims(platform.token("initech"))["tenant"] == "initech"
    platform.cli("delete", "tenant", "initech", "--wait", "--timeout", "60s")
    assert platform.cli("get", "tenant", "initech", check=False).returncode == 1


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("kind: [\n", ["broken YAML"]),
        (f"apiVersion: voicehelper.io/v1alpha1\nkind: Tenant\nmetadata: {{name: {'a' * 70}}}\nspec: {{}}\n",
         ["metadata.name", "spec.planRef", "spec.admin"]),
        ("apiVersion: voicehelper.io/v1alpha1\nkind: Tenant\nmetadata: {name: a.b}\nspec: {plan: x}\n",
         ["metadata.name", "spec.plan"]),
    ],
)  # fmt: skip
def test_bad_resources_are_refused_with_path_and_reason(platform: Any, manifest: str, words: list[str]) -> None:
    done = platform.cli("apply", "-f", "-", stdin=manifest, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_tokens_carry_tenant_and_id(platform: Any) -> None:
    acme = claims(platform.token("acme"))
    assert acme["tenant"] == "acme"
    assert acme["tid"] == platform.resource("tenant", "acme")["status"]["tenantId"]
    assert claims(platform.token(None))["tenant"] == "_public"
    assert platform.cli("token", "--tenant", "nobody", check=False).returncode == 1


def test_search_finds_in_every_mode(platform: Any, documents: Path) -> None:
    for mode in ("hybrid", "vector", "bm25"):
        arguments = ("knowledge", "search", "--tenant", "acme", "warranty months", "--mode", mode, "--top-k", "2")
        hits = json.loads(platform.cli(*arguments, "--json").stdout)["hits"]
        assert 1 <= len(hits) <= 2
        assert hits[0]["external_id"] == "warranty.md"
    assert "[1] " in platform.cli(*arguments).stdout


def test_another_tenant_finds_nothing(platform: Any, documents: Path) -> None:
    found = platform.cli("knowledge", "search", "--tenant", "globex", "warranty months", "--json")
    assert "warranty.md" not in [hit["external_id"] for hit in json.loads(found.stdout)["hits"]]


def test_adding_again_replaces(platform: Any, documents: Path) -> None:
    def listed() -> dict[str, str]:
        items = json.loads(platform.cli("knowledge", "list", "--tenant", "acme", "--json").stdout)["items"]
        return {item["external_id"]: item["id"] for item in items}

    before = listed()
    assert {"warranty.md", "returns.txt", "hours.html", "doc_shipping"} <= set(before)
    platform.cli("knowledge", "add", "--tenant", "acme", str(documents))
    assert listed() == before


def test_chat_answers_with_citations_that_open_the_right_place(platform: Any, documents: Path) -> None:
    question = "How many months does the Zephyr warranty last?"
    answer = json.loads(platform.cli("chat", "--tenant", "acme", question, "--json").stdout)
    assert answer["citations"]
    citation = next(item for item in answer["citations"] if "forty-two" in item["text"])
    shown = platform.cli(
        "knowledge", "show", "--tenant", "acme", citation["document_id"],
        "--start", str(citation["start"]), "--end", str(citation["end"]),
    ).stdout  # fmt: skip
    assert shown == citation["text"] + "\n"
    streamed = platform.cli("chat", "--tenant", "acme", question)
    assert "forty-two" in streamed.stdout
    assert "[1] " in streamed.stdout
    on = platform.cli("chat", "--tenant", "acme", "-c", answer["conversation_id"], "And the shop, when does it open?")
    assert on.stdout.strip()


def test_usage_comes_from_clickhouse(platform: Any, documents: Path) -> None:
    def count() -> int:
        usage = json.loads(platform.cli("usage", "--tenant", "acme", "--json").stdout)
        assert usage["tenant_id"] == platform.resource("tenant", "acme")["status"]["tenantId"]
        return int(usage["totals"]["message_count"])

    before = count()
    platform.cli("chat", "--tenant", "acme", "How many months does the Zephyr warranty last?", "--json")
    end = time.monotonic() + 60
    while count() < before + 2 and time.monotonic() < end:
        time.sleep(0.2)
    assert count() == before + 2
    assert platform.cli("usage", "--tenant", "acme").stdout.splitlines()[-1].startswith("total")


def test_documents_that_cannot_be_read_are_named(platform: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "fine.md").write_text("# Fine\n\nThis one is fine.\n")
    done = platform.cli("knowledge", "add", "--tenant", "globex", str(tmp_path), check=False)
    assert done.returncode == 1
    for name in ("broken.json", "latin.txt"):
        assert name in done.stderr
    assert "fine.md" not in done.stderr


def test_deleted_documents_are_found_no_more(platform: Any, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("# Codeword\n\nThe codeword is xylophone.\n")
    platform.cli("knowledge", "add", "--tenant", "globex", str(tmp_path))
    search = ("knowledge", "search", "--tenant", "globex", "xylophone codeword", "--mode", "bm25", "--json")
    assert json.loads(platform.cli(*search).stdout)["hits"]
    platform.cli("knowledge", "delete", "--tenant", "globex", "secret.md")
    hits = json.loads(platform.cli(*search).stdout)["hits"]
    assert all(hit["external_id"] != "secret.md" for hit in hits)
