"""Documents through the router, in the cells of two tenants, on the whole platform."""

from __future__ import annotations

import time
import uuid
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.integration
DOCUMENTS, SEARCH = "/api/v1/knowledge/documents", "/api/v1/knowledge/search"


@pytest.fixture(scope="module")
def acme(platform: Any) -> Any:
    with platform.client("acme") as client:
        yield client


def add(client: httpx.Client, content: str, external_id: str) -> dict[str, Any]:
    """Upload and wait until it is indexed."""
    body = {"title": f"Title of {external_id}", "content": content, "external_id": external_id}
    answer = client.post(DOCUMENTS, json=body)
    assert answer.status_code == 202, answer.text
    until = time.monotonic() + 60
    while time.monotonic() < until:
        items = client.get(DOCUMENTS, params={"external_id": external_id}).json()["items"]
        if items and items[0]["status"] != "uploaded":
            assert items[0]["status"] == "indexed", items[0]
            document: dict[str, Any] = items[0]
            return document
        time.sleep(0.1)
    raise AssertionError("the document was not indexed")


def search(client: httpx.Client, query: str, **more: Any) -> list[dict[str, Any]]:
    answer = client.post(SEARCH, json={"query": query, "top_k": 5, **more})
    assert answer.status_code == 200, answer.text
    hits: list[dict[str, Any]] = answer.json()["hits"]
    return hits


def test_what_is_added_is_found_and_what_is_deleted_is_not(acme: httpx.Client, platform: Any) -> None:
    name = f"turbine-{uuid.uuid4().hex}"
    document = add(acme, "The flux turbine has to be lubricated every 90 days with graphite oil.", name)
    for mode in ("hybrid", "vector", "bm25"):
        hits = search(acme, "How often is the flux turbine lubricated?", mode=mode)
        assert hits[0]["document_id"] == document["id"]
        assert hits[0]["external_id"] == name
        assert "graphite" in hits[0]["text"]
    with platform.client("globex") as globex:
        assert document["id"] not in {hit["document_id"] for hit in search(globex, "flux turbine")}
        assert globex.get(f"{DOCUMENTS}/{document['id']}/content").status_code == 404
        assert globex.delete(f"{DOCUMENTS}/{document['id']}").status_code == 404
    assert acme.delete(f"{DOCUMENTS}/{document['id']}").status_code < 300
    for mode in ("hybrid", "vector", "bm25"):
        assert document["id"] not in {hit["document_id"] for hit in search(acme, "flux turbine", mode=mode)}


def test_the_same_external_id_replaces(acme: httpx.Client) -> None:
    name = f"policy-{uuid.uuid4().hex}"
    first = add(acme, "Zeppelin travel needs approval by the harbour master.", name)
    acme.post(DOCUMENTS, json={"title": "New", "content": "Submarine travel is free.", "external_id": name})
    until = time.monotonic() + 60
    while time.monotonic() < until:
        hits = [hit for hit in search(acme, "submarine travel") if hit["external_id"] == name]
        if hits:
            break
        time.sleep(0.1)
    assert [hit["document_id"] for hit in hits] == [first["id"]]
    content = acme.get(f"{DOCUMENTS}/{first['id']}/content").json()
    assert content["text"] == "Submarine travel is free."
    assert not [hit for hit in search(acme, "zeppelin harbour master", mode="bm25") if hit["external_id"] == name]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"query": ""}, 400),
        ({"query": "x", "top_k": 101}, 400),
        ({"query": "x", "mode": "graph"}, 400),
        ({"top_k": 3}, 400),
    ],
)
def test_bad_searches_are_refused(acme: httpx.Client, body: dict[str, Any], status: int) -> None:
    answer = acme.post(SEARCH, json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/problem+json")


def test_bad_uploads_are_refused(acme: httpx.Client) -> None:
    for content, kind in ((b"\xff\xfe", "text/plain"), (b"{", "application/json"), (b" ", "text/markdown")):
        answer = acme.post(DOCUMENTS, files={"file": ("x", content, kind)})
        assert answer.status_code == 400, answer.text
    answer = acme.post(DOCUMENTS, files={"file": ("x.pdf", b"%PDF", "application/pdf")})
    assert answer.status_code == 415
