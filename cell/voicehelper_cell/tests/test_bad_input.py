"""Wrong input of every kind through the router: a clear 4xx, never a 5xx, never another tenant's data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from voicehelper_cell.tests.attacker import CONVERSATIONS, DOCUMENTS, SEARCH, Attacker

pytestmark = pytest.mark.integration
JSON, FORM = {"Content-Type": "application/json"}, {"Content-Type": "multipart/form-data; boundary=X"}


@pytest.fixture(scope="module")
def conversation(attacker: Attacker) -> str:
    made = attacker.send("POST", CONVERSATIONS, json={"title": "bad input"})
    return f"{CONVERSATIONS}/{made.json()['id']}/messages"


BODIES = [
    b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe\x00", b'{"content": "\xff"}', b"{" * 50_000, b"[" * 50_000,
    b'{"content": 1}', b'{"content": null}', b'{"content": ["x"]}', b'{"content": {"a": 1}}', b'{"content": ""}',
    b'{"content": "  \\n "}', b'{"content": "a\\u0000b"}', b'{"content": "\\ud800"}', b'{"content": "x", "role": "s"}',
    b'{"content": "x", "tenant_id": "t"}', b'{"content": NaN}', b'{"content": ' + b"9" * 10_000 + b"}",
    json.dumps({"content": "x" * 32_001}).encode(), b"{}", b'{"content": "x"} trailing', b"content=x",
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_messages(attacker: Attacker, conversation: str, body: bytes) -> None:
    attacker.refused(attacker.send("POST", conversation, content=body, headers=JSON), 400, 413, 422)
    stream = {**JSON, "Accept": "text/event-stream"}
    attacker.refused(attacker.send("POST", conversation, content=body, headers=stream), 400, 413, 422)


@pytest.mark.parametrize(
    ("path", "document"),
    [
        (CONVERSATIONS, {"title": "x" * 201}),
        (CONVERSATIONS, {"title": "a\0b"}),
        (CONVERSATIONS, {"title": "x", "mode": "agent"}),
        (CONVERSATIONS, {"title": "x", "mode": "nonsense"}),
        (CONVERSATIONS, {"title": 1}),
        (CONVERSATIONS, {"title": "x", "user_id": "root"}),
        (SEARCH, {}),
        (SEARCH, {"query": ""}),
        (SEARCH, {"query": "\0"}),
        (SEARCH, {"query": "x" * 2001}),
        (SEARCH, {"query": "x", "top_k": 0}),
        (SEARCH, {"query": "x", "top_k": 10**30}),
        (SEARCH, {"query": "x", "top_k": "many"}),
        (SEARCH, {"query": "x", "mode": "../bm25"}),
        (SEARCH, {"query": "x", "tenant_id": "tglobex00001"}),
        (DOCUMENTS, {"title": "x"}),
        (DOCUMENTS, {"title": "x", "content": 5}),
        (DOCUMENTS, {"title": "x", "content": " "}),
        (DOCUMENTS, {"title": "x", "content": "x", "owner": "y"}),
        (DOCUMENTS, {"title": "x" * 5000, "content": "x"}),
        (DOCUMENTS, {"title": "x", "content": "x", "external_id": "y" * 5000}),
    ],
)
def test_documents(attacker: Attacker, path: str, document: dict[str, Any]) -> None:
    attacker.refused(attacker.send("POST", path, json=document), 400, 422)


@pytest.mark.parametrize("path", [CONVERSATIONS, SEARCH, DOCUMENTS])
@pytest.mark.parametrize("name", ["title", "content", "external_id", "query", "\\ud800"])
def test_lone_surrogates(attacker: Attacker, path: str, name: str) -> None:
    given = {"title": "x", "content": "x"} if path == DOCUMENTS else {}
    text = json.dumps({**given, "NAME": "VALUE"}).replace("VALUE", "a\\ud83d").replace("NAME", name)
    attacker.refused(attacker.send("POST", path, content=text.encode(), headers=JSON), 400, 422)


def _part(head: str, body: bytes, end: bytes = b"\r\n--X--\r\n") -> bytes:
    return b"--X\r\n" + head.encode() + b"\r\n\r\n" + body + end


FILE = 'Content-Disposition: form-data; name="file"; filename="x.md"'
UPLOADS = [
    (FORM, b""),
    (FORM, b"--X--\r\n"),
    (FORM, b"nonsense"),
    (FORM, _part('Content-Disposition: form-data; name="other"', b"x")),
    (FORM, _part('Content-Disposition: form-data; name="file"', b"not a file")),
    (FORM, _part(FILE, b"\xff\xfe\xfd")),
    (FORM, _part(FILE, b"")),
    (FORM, _part("no-colon", b"x")),
    (FORM, _part("Content-Disposition: form-data", b"x")),
    (FORM, _part(FILE + "\r\nContent-Type: application/x-msdownload", b"MZ")),
    ({"Content-Type": "multipart/form-data"}, b"x"),
    ({"Content-Type": "multipart/form-data; boundary="}, b"x"),
    ({"Content-Type": "multipart/form-data; boundary=\xe4"}, b"x"),
    ({"Content-Type": "application/pdf"}, b"%PDF"),
    ({"Content-Type": "text/plain; charset=klingon"}, b"x"),
    ({"Content-Type": "text/plain"}, b"a\xff"),
    ({"Content-Type": "text/plain"}, b""),
    ({"Content-Type": "text/markdown; charset=utf-16"}, b"\xff\xfe\x00\xd8"),
    ({"Content-Type": "nonsense"}, b"x"),
    ({}, b"x"),
    (JSON, b"\xff"),
    (JSON, b'{"a":'),
    (JSON, b"[" * 100_000),
]


@pytest.mark.parametrize(("headers", "body"), UPLOADS, ids=range(len(UPLOADS)))
def test_uploads(attacker: Attacker, headers: dict[str, str], body: bytes) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    attacker.refused(attacker.client.post(DOCUMENTS, content=body, headers=raw), 400, 413, 415, 422)


def _megabytes(count: int, begin: bytes = b"", end: bytes = b"") -> Iterator[bytes]:
    yield begin
    for _ in range(count):
        yield b"x" * 2**20
    yield end


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize(
    ("path", "headers", "begin"),
    [
        (DOCUMENTS, FORM, _part(FILE, b"", b"")),
        (DOCUMENTS, JSON, b'{"title": "x", "content": "'),
        (DOCUMENTS, {"Content-Type": "text/plain"}, b""),
        (CONVERSATIONS, JSON, b'{"title": "'),
        (SEARCH, JSON, b'{"query": "'),
        (DOCUMENTS, {"Content-Type": "application/zip"}, b""),
    ],
    ids=("form", "json", "text", "conversation", "search", "zip"),
)
def test_a_hundred_megabytes(
    attacker: Attacker, path: str, headers: dict[str, str], begin: bytes, announced: bool
) -> None:
    more = {"Content-Length": str(len(begin) + 100 * 2**20)} if announced else {}
    answer = attacker.client.post(path, content=_megabytes(100, begin), headers={**headers, **more})
    attacker.refused(answer, 413, 415)
    assert attacker.send("GET", CONVERSATIONS).status_code == 200, "the cell lives on"
