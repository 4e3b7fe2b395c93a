"""The gold set: what the frozen documents say is answered and cited at its place, what they do not say is not."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

pytestmark = pytest.mark.integration
FOLDER = Path(__file__).parent / "fixtures" / "answers"
QUESTIONS = yaml.safe_load((FOLDER / "questions.yaml").read_text())
UNKNOWN = "I do not know"
NAME = f"answers-{uuid.uuid4().hex[:8]}"
TENANT = f"""
apiVersion: voicehelper.io/v1alpha1
kind: Tenant
metadata:
  name: {NAME}
spec:
  displayName: Answers
  planRef: team
  admin:
    email: admin@answers.example
  deletion:
    policy: Delete
"""


@dataclass
class Asked:
    """A tenant that has the documents of the fixture and no others."""

    client: httpx.Client
    documents: dict[str, dict[str, Any]]
    texts: dict[str, str]

    def ask(self, question: str) -> dict[str, Any]:
        """The answer to a question in a conversation of its own."""
        made = self.client.post("/api/v1/conversations", json={"title": question[:200]})
        assert made.status_code == 201, made.text
        answer = self.client.post(f"/api/v1/conversations/{made.json()['id']}/messages", json={"content": question})
        assert answer.status_code == 200, answer.text
        message: dict[str, Any] = answer.json()
        return message


@pytest.fixture(scope="module")
def asked(platform: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    manifest = tmp_path_factory.mktemp("tenant") / "answers.yaml"
    manifest.write_text(TENANT)
    platform.cli("apply", "-f", str(manifest))
    platform.cli("wait", f"tenant/{NAME}", "--for", "condition=Ready", "--timeout", "60s")
    pages = sorted(FOLDER.glob("*.md"))
    platform.cli("knowledge", "add", "--tenant", NAME, *map(str, pages))
    with platform.client(NAME) as client:
        items = client.get("/api/v1/knowledge/documents", params={"limit": 100}).json()["items"]
        documents = {next(page.name for page in pages if page.name in item["external_id"]): item for item in items}
        assert sorted(documents) == [page.name for page in pages], json.dumps(items)
        texts = {
            name: client.get(f"/api/v1/knowledge/documents/{item['id']}/content").json()["text"]
            for name, item in documents.items()
        }
        yield Asked(client, documents, texts)
    platform.cli("delete", "tenant", NAME, check=False)


def test_the_set_is_whole() -> None:
    answerable, unanswerable = QUESTIONS["answerable"], QUESTIONS["unanswerable"]
    assert (len(answerable), len(unanswerable)) == (20, 20)
    assert len({item["question"] for item in answerable + unanswerable}) == 40
    for item in answerable:
        assert (FOLDER / item["document"]).read_text().count(item["gold"]) == 1, item


@pytest.mark.parametrize("item", QUESTIONS["answerable"], ids=lambda item: item["question"])
def test_what_the_documents_say_is_cited_at_its_place(asked: Asked, item: dict[str, str]) -> None:
    message = asked.ask(item["question"])
    document, text, gold = asked.documents[item["document"]], asked.texts[item["document"]], item["gold"]
    assert message["content"].strip()
    assert not message["content"].startswith(UNKNOWN), message
    start = text.index(gold)
    citing = [
        citation
        for citation in message["citations"]
        if citation["document_id"] == document["id"]
        and citation["start"] < start + len(gold)
        and start < citation["end"]
        and (gold in citation["text"] or citation["text"] in gold)
    ]
    assert citing, message
    texts = {item["id"]: asked.texts[name] for name, item in asked.documents.items()}
    for citation in message["citations"]:
        assert texts[citation["document_id"]][citation["start"] : citation["end"]] == citation["text"]
        shown = " ".join(citation["text"].split())
        assert shown in " ".join(message["content"].split()), "an answer quotes what it cites"


@pytest.mark.parametrize("item", QUESTIONS["unanswerable"], ids=lambda item: item["question"])
def test_what_the_documents_do_not_say_is_not_answered(asked: Asked, item: dict[str, str]) -> None:
    message = asked.ask(item["question"])
    assert message["content"].startswith(UNKNOWN), message
    assert message["citations"] == []
