"""A client that sends what nobody should send, and knows what must never be in an answer."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

CONVERSATIONS, DOCUMENTS = "/api/v1/conversations", "/api/v1/knowledge/documents"
SEARCH, USAGE = "/api/v1/knowledge/search", "/api/v1/usage"


class Attacker:
    """acme's client; ``conversation``, ``message`` and ``document`` are ids of globex, ``secret`` is its word."""

    def __init__(self, client: httpx.Client, secret: str, theirs: tuple[str, str, str]) -> None:
        self.client, self.secret = client, secret
        self.conversation, self.message, self.document = theirs

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.client.request(method, path, **more)

    def refused(self, answer: httpx.Response, *statuses: int) -> dict[str, Any]:
        """A problem document with one of the statuses (any 4xx where none is named), without globex's data."""
        assert 400 <= answer.status_code < 500, (answer.status_code, answer.text[:500])
        assert not statuses or answer.status_code in statuses, (answer.status_code, answer.text[:500])
        self.clean(answer)
        if answer.request.method == "HEAD":
            return {}
        assert answer.headers["content-type"].startswith("application/problem+json"), answer.text[:500]
        body: dict[str, Any] = answer.json()
        assert body["status"] == answer.status_code
        assert body["title"]
        for inside in ("Traceback", "asyncpg", ".py", "SELECT ", "/var/lib"):
            assert inside not in answer.text
        return body

    def clean(self, answer: httpx.Response) -> None:
        assert self.secret not in answer.text


@pytest.fixture(scope="module")
def attacker(platform: Any) -> Iterator[Attacker]:
    word = f"zeppelin{uuid.uuid4().hex}"
    with platform.client("globex") as globex, platform.client("acme") as acme:
        made: Any = globex.post(CONVERSATIONS, json={"title": word}).json()
        answer = globex.post(f"{CONVERSATIONS}/{made['id']}/messages", json={"content": word})
        assert answer.status_code == 200, answer.text
        document = globex.post(DOCUMENTS, json={"title": word, "content": f"It is {word}.", "external_id": word})
        assert document.status_code == 202, document.text
        ids = (made["id"], answer.json()["id"], document.json()["id"])
        yield Attacker(acme, word, ids)
