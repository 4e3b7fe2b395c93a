"""Adding, finding and opening documents over a router in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import Result
from voicehelper_cli import ingest
from voicehelper_cli.documents import collect
from voicehelper_cli.failures import Failure
from voicehelper_crds.models import Tenant

Cli = Callable[..., Result]
DOCUMENTS = "/api/v1/knowledge/documents"


class Library:
    """Documents that are indexed at the second look; ``bad.txt`` fails, ``big.txt`` is refused."""

    def __init__(self, router: Any) -> None:
        self.router = router
        self.documents: dict[str, dict[str, Any]] = {}
        self.busy = 0
        router.answers[f"POST {DOCUMENTS}"] = self.upload

    def upload(self, request: httpx.Request) -> httpx.Response:
        if self.busy:
            self.busy -= 1
            return httpx.Response(429, json={"detail": "slower"}, headers={"Retry-After": "0"})
        body = request.content.decode("utf-8", "replace")
        external_id = body.split('name="external_id"\r\n\r\n')[1].split("\r\n")[0]
        if external_id == "big.txt":
            return httpx.Response(413, json={"detail": "at most 20 MB"})
        document = {"id": f"id-{len(self.documents)}", "external_id": external_id, "status": "uploaded", "looks": 0}
        self.documents[document["id"]] = document
        self.router.answers[f"GET {DOCUMENTS}/{document['id']}"] = lambda _: self.look(document)
        return httpx.Response(202, json=document)

    def look(self, document: dict[str, Any]) -> httpx.Response:
        document["looks"] += 1
        if document["looks"] > 1:
            failed = document["external_id"] == "bad.txt"
            document |= (
                {"status": "failed", "error": "not UTF-8"} if failed else {"status": "indexed", "chunk_count": 3}
            )
        return httpx.Response(200, json=document)


@pytest.fixture
def library(router: Any, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setattr(ingest, "_POLL_SECONDS", 0.001)
    return Library(router)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    (root / "guide").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "a.md").write_text("# A")
    (root / "guide" / "b.html").write_text("<p>B</p>")
    (root / "c.json").write_text(json.dumps({"id": "doc_c", "title": "C", "content": "c"}))
    (root / ".git" / "d.md").write_text("not this")
    (root / "e.png").write_bytes(b"\x89PNG")
    return root


def test_documents_are_called_by_their_path_or_their_own_id(folder: Path) -> None:
    assert [upload.external_id for upload in collect([str(folder)])] == ["a.md", "doc_c", "guide/b.html"]
    assert len(collect([str(folder / "a.md"), str(folder)])) == 3


def test_two_files_cannot_become_one_document(folder: Path) -> None:
    (folder / "guide" / "a.md").write_text("# Another A")
    with pytest.raises(Failure, match="would both become"):
        collect([str(folder), str(folder / "guide")])


@pytest.mark.parametrize(
    ("name", "words"), [("none", "no such file"), ("e.png", "can be added"), (".git/x", "no such")]
)
def test_what_cannot_be_added_is_named(folder: Path, name: str, words: str) -> None:
    with pytest.raises(Failure, match=words):
        collect([str(folder / name)])


def test_add_waits_until_all_is_indexed(cli: Cli, library: Library, folder: Path) -> None:
    library.busy = 2
    result = cli("knowledge", "add", "--tenant", "acme", str(folder))
    assert result.exit_code == 0, result.stderr
    assert "3 of 3 documents indexed" in result.stdout
    assert "9 chunks" in result.stdout
    assert {item["external_id"] for item in library.documents.values()} == {"a.md", "doc_c", "guide/b.html"}


def test_add_names_what_failed_and_why(cli: Cli, library: Library, folder: Path) -> None:
    (folder / "bad.txt").write_text("x")
    (folder / "big.txt").write_text("x")
    result = cli("knowledge", "add", "--tenant", "acme", str(folder), "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert (report["total"], report["indexed"]) == (5, 3)
    for word in ("bad.txt: not UTF-8", "big.txt: at most 20 MB (HTTP 413)", "2 of 5 documents failed"):
        assert word in result.stderr


def test_add_gives_up_when_nothing_moves(cli: Cli, library: Library, folder: Path) -> None:
    library.look = lambda document: httpx.Response(200, json=document)  # type: ignore[method-assign]
    result = cli("knowledge", "add", "--tenant", "acme", str(folder), "--timeout", "0s")
    assert result.exit_code == 1
    assert "nothing moved" in result.stderr


def test_add_without_waiting(cli: Cli, library: Library, folder: Path) -> None:
    result = cli("knowledge", "add", "--tenant", "acme", str(folder), "--no-wait")
    assert "3 of 3 documents uploaded" in result.stdout
    assert all(item["looks"] == 0 for item in library.documents.values())


def test_a_refused_login_ends_it(cli: Cli, library: Library, router: Any, folder: Path) -> None:
    router.answers[f"POST {DOCUMENTS}"] = lambda _: httpx.Response(403, json={"detail": "the tenant is suspended"})
    result = cli("knowledge", "add", "--tenant", "acme", str(folder))
    assert result.exit_code == 1
    assert "the tenant is suspended" in result.stderr


def test_search_prints_hits_and_sends_what_was_asked(cli: Cli, router: Any, acme: Tenant) -> None:
    hit = {"document_id": "d1", "external_id": "a.md", "title": "A", "text": "one\ntwo " * 200, "score": 0.87}
    router.answers["POST /api/v1/knowledge/search"] = lambda _: httpx.Response(200, json={"hits": [hit]})
    text = cli("knowledge", "search", "-t", "acme", "question", "--mode", "bm25", "--top-k", "3").stdout
    assert "[1] A  (a.md, score 0.870)" in text
    assert json.loads(router.requests[-1].content) == {"query": "question", "top_k": 3, "mode": "bm25"}
    assert json.loads(cli("knowledge", "search", "-t", "acme", "q", "--json").stdout)["hits"] == [hit]
    router.answers["POST /api/v1/knowledge/search"] = lambda _: httpx.Response(200, json={"hits": []})
    assert "nothing was found" in cli("knowledge", "search", "-t", "acme", "q").stderr


@pytest.mark.parametrize("arguments", [("--mode", "magic"), ("--top-k", "0"), ("--top-k", "many")])
def test_wrong_searches_are_wrong_usage(cli: Cli, acme: Tenant, arguments: tuple[str, ...]) -> None:
    assert cli("knowledge", "search", "-t", "acme", "q", *arguments).exit_code == 2


def test_show_opens_a_citation_in_code_points(cli: Cli, router: Any, acme: Tenant) -> None:
    identifier = "8d1f6b0a-1f5c-4a43-8f0e-0a3c7f2f0b11"
    content = {"document_id": identifier, "title": "A", "text": "🙂 Parcels can be returned."}
    router.answers[f"GET {DOCUMENTS}/{identifier}/content"] = lambda _: httpx.Response(200, json=content)
    router.answers[f"GET {DOCUMENTS}"] = lambda request: httpx.Response(
        200, json={"items": [{"id": identifier}] if request.url.params["external_id"] == "a.md" else []}
    )
    show = ("knowledge", "show", "-t", "acme")
    assert cli(*show, identifier, "--start", "2", "--end", "9").stdout == "Parcels\n"
    assert cli(*show, "a.md").stdout == content["text"] + "\n"
    assert "no document with the external id" in cli(*show, "b.md").stderr


def test_list_and_delete(cli: Cli, router: Any, acme: Tenant) -> None:
    identifier = "8d1f6b0a-1f5c-4a43-8f0e-0a3c7f2f0b11"
    item = {"id": identifier, "external_id": "a.md", "title": "A", "status": "indexed", "chunk_count": 2}
    router.answers[f"GET {DOCUMENTS}"] = lambda _: httpx.Response(200, json={"items": [item], "next_cursor": None})
    router.answers[f"DELETE {DOCUMENTS}/{identifier}"] = lambda _: httpx.Response(204)
    assert cli("knowledge", "list", "-t", "acme").stdout.splitlines()[1].split()[:4] == [
        identifier, "a.md", "A", "indexed",
    ]  # fmt: skip
    assert json.loads(cli("knowledge", "list", "-t", "acme", "--json").stdout) == {"items": [item]}
    assert cli("knowledge", "delete", "-t", "acme", identifier).stdout == f"document/{identifier} deleted\n"
