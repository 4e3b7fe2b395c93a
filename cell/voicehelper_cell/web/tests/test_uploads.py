"""Documents in every form, and bodies that are too large."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from voicehelper_cell.web.limits import MAX_BODY
from voicehelper_cell.web.tests.conftest import Bff
from voicehelper_core.errors import Unprocessable

DOCUMENTS, CONVERSATIONS = "/api/v1/knowledge/documents", "/api/v1/conversations"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"json": {"title": "T", "content": "Text", "external_id": "e"}}, ("Text", "text/markdown", "T", "e")),
        ({"json": {"id": "e", "title": "T", "content": "Text"}}, ("Text", "text/markdown", "T", "e")),
        ({"files": {"file": ("a.md", b"# A")}}, ("# A", "text/markdown", "", "")),
        ({"files": {"file": ("a.html", b"<p>A", "text/html")}, "data": {"external_id": "e", "title": "T"}},
         ("<p>A", "text/html", "T", "e")),
        ({"files": {"file": ("a.json", b"{}", "application/octet-stream")}}, ("{}", "application/json", "", "")),
        ({"content": b"Text", "headers": {"Content-Type": "text/plain"}, "params": {"title": "T"}},
         ("Text", "text/plain", "T", "")),
    ],
)  # fmt: skip
async def test_forms_of_a_document(bff: Bff, request_: dict[str, Any], expected: tuple[str, ...]) -> None:
    async with bff.client() as client:
        answer = await client.post(DOCUMENTS, **request_)
    assert answer.status_code == 202, answer.text
    assert answer.json()["size_bytes"] == len(expected[0])
    (given,) = bff.knowledge.uploads
    assert (given.content.decode(), given.media_type, given.title, given.external_id) == expected


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"json": {"title": "T"}}, 400),
        ({"json": {"title": "T", "content": 3}}, 400),
        ({"json": {"title": "T", "content": "x", "more": "x"}}, 400),
        ({"json": ["x"]}, 400),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400),
        ({"content": b"\xff", "headers": {"Content-Type": "application/json"}}, 400),
        ({"content": b'{"content": "\\ud800"}', "headers": {"Content-Type": "application/json"}}, 400),
        ({"content": b"[" * 900, "headers": {"Content-Type": "application/json"}}, 400),
        ({"content": b"x", "headers": {"Content-Type": "application/pdf"}}, 415),
        ({"content": b"x"}, 415),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 400),
        ({"data": {"title": "T"}, "files": {"other": ("a.md", b"x")}}, 400),
        ({"files": [("file", ("a.md", b"x")), ("file", ("b.md", b"x"))]}, 400),
        ({"files": {"file": ("a.md", b"x"), "title": ("t", b"x")}}, 400),
        ({"content": b"x" * 1001, "headers": {"Content-Type": "text/plain"}}, 413),
        ({"files": {"file": ("a.md", b"x" * 1001)}}, 413),
        ({"files": {"file": ("a.md", b"x" * 200_000)}}, 413),
    ],
)
async def test_what_is_no_document(bff: Bff, request_: dict[str, Any], status: int) -> None:
    async with bff.client() as client:
        answer = await client.post(DOCUMENTS, **request_)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert bff.knowledge.uploads == []


async def test_the_answer_of_the_service_comes_through(bff: Bff) -> None:
    bff.knowledge.error = Unprocessable("this Idempotency-Key was used with another body: use a new key")
    async with bff.client() as client:
        answer = await client.post(DOCUMENTS, json={"content": "x"}, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (422, "unprocessable")


async def _pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * 2**16


@pytest.mark.parametrize("path", [DOCUMENTS, CONVERSATIONS, f"{CONVERSATIONS}/c1/messages", "/nowhere"])
@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=b"])
async def test_bodies_without_end_are_read_and_refused(bff: Bff, path: str, kind: str) -> None:
    async with bff.client() as client:
        for body in (_pieces(40), b"x" * 3 * 2**20):  # with and without a length
            answer = await client.post(path, content=body, headers={"Content-Type": kind})
            # A form that begins with no boundary may be refused for that before it has become too large.
            early = {400} if path == DOCUMENTS and kind.startswith("multipart/") else set()
            assert answer.status_code in {413, 404, 415} | early, answer.text
            assert answer.headers["content-type"].startswith("application/problem+json")


async def test_a_message_of_the_largest_size_fits(bff: Bff) -> None:
    content = "\U0001f600" * 32_000
    async with bff.client() as client:
        answer = await client.post(f"{CONVERSATIONS}/c1/messages", json={"content": content})
    assert answer.status_code == 200
    assert bff.conversations.requests[0].content == content
    assert len(content) * 12 < MAX_BODY


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"content": 1}', b'{"content": "\\ud800"}', b'{"content": "x", "y": 1}', b"\xff"]
)
async def test_what_is_no_message(bff: Bff, body: bytes) -> None:
    async with bff.client() as client:
        answer = await client.post(
            f"{CONVERSATIONS}/c1/messages", content=body, headers={"Content-Type": "application/json"}
        )
    assert answer.status_code == 400, answer.text
    assert bff.conversations.requests == []
