"""Who gets in, and where to."""

from __future__ import annotations

import time

import httpx
import pytest
from voicehelper_cell.web.tests.conftest import CELL, TENANT_ID, Bff

CONVERSATIONS, PROBE = "/api/v1/conversations", "/api/v1/probe"
SERVICE = {"roles": ["service"], "scopes": ["probe"]}


async def test_a_user(bff: Bff) -> None:
    async with bff.client() as client:
        answer = await client.post(CONVERSATIONS, json={"title": "First"})
        assert (answer.status_code, answer.json()["title"]) == (201, "First")
        del client.headers["X-Tenant-ID"]
        assert (await client.post(CONVERSATIONS, json={"title": "First"})).status_code == 201


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"exp": int(time.time()) - 60}, 401),
        ({"aud": "another"}, 401),
        ({"iss": "another"}, 401),
        ({"tid": "tglobex00001"}, 403),
        ({"tid": None}, 403),
        ({"tenant": "globex"}, 403),
        (SERVICE, 403),
        ({"scopes": ["probe"]}, 403),
    ],
)
async def test_strangers(bff: Bff, claims: dict[str, object], status: int) -> None:
    async with bff.client(**claims) as client:
        for answer in (
            await client.post(CONVERSATIONS, json={"title": "x"}),
            await client.get("/api/v1/knowledge/documents"),
            await client.get("/api/v1/usage"),
        ):
            assert answer.status_code == status, answer.text
    assert bff.conversations.requests == []


@pytest.mark.parametrize("header", ["", "Bearer", "Basic abc", "Bearer a.b.c", "Bearer " + "x" * 9000])
async def test_no_token(bff: Bff, header: str) -> None:
    async with httpx.AsyncClient(base_url=bff.url, trust_env=False) as client:
        answer = await client.get(CONVERSATIONS, headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("named", [["globex"], ["acme", "globex"], ["acme", "acme"], ["acme,globex"], ["ACME"], [""]])
async def test_another_tenant_in_the_header(bff: Bff, named: list[str]) -> None:
    headers = [("Authorization", f"Bearer {bff.token()}"), *(("X-Tenant-ID", name) for name in named)]
    async with httpx.AsyncClient(base_url=bff.url, trust_env=False) as client:
        assert (await client.get(CONVERSATIONS, headers=headers)).status_code == 403


async def test_the_probe_is_for_its_token_only(bff: Bff) -> None:
    async with bff.client(**SERVICE) as client:
        answer = await client.get(PROBE)
        assert answer.json() == {"tenant_id": TENANT_ID, "cell_id": CELL, "release": "r1"}
    async with bff.client() as client:
        assert (await client.get(PROBE)).status_code == 403


async def test_the_description_of_the_api(bff: Bff) -> None:
    async with bff.client() as client:
        document = (await client.get("/api/v1/openapi.json")).json()
    assert {
        "/api/v1/conversations", "/api/v1/conversations/{conversation_id}/messages",
        "/api/v1/conversations/{conversation_id}/messages/{message_id}/events", "/api/v1/knowledge/documents",
        "/api/v1/knowledge/documents/{document_id}/content", "/api/v1/knowledge/search", "/api/v1/usage",
    } <= set(document["paths"])  # fmt: skip
    assert PROBE not in document["paths"]
