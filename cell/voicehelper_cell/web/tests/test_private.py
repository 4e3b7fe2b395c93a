"""What is for the platform is served to the platform only."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from voicehelper_cell.settings import CellSettings
from voicehelper_cell.web import app as web
from voicehelper_cell.web.caller import Services
from voicehelper_cell.web.private import PATHS


def _client() -> httpx.AsyncClient:
    nobody: Any = None
    app = web.build(CellSettings(cell_id="ctest0000001"), Services(None, None, None), nobody, nobody)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://cell")


@pytest.mark.parametrize("path", sorted(PATHS))
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_what_the_router_sends_does_not_find_it(path: str, method: str) -> None:
    async with _client() as client:
        for tenant in ("acme", "", "_public"):
            answer = await client.request(method, path, headers={"X-Tenant-ID": tenant})
            assert answer.status_code == 404
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", sorted(PATHS))
async def test_the_platforms_probes_find_it(path: str) -> None:
    async with _client() as client:
        assert (await client.get(path)).status_code == 200
