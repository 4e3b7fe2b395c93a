"""The bad build of the benchmark ``upgrade`` starts, and fails every request of a tenant."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from unittest.mock import Mock

import httpx
import voicehelper_cell.web.app
from voicehelper_bench.upgrade.rollout import broken
from voicehelper_cell.settings import CellSettings


async def test_only_requests_of_tenants_fail() -> None:
    bad = ModuleType("bad")
    text = broken(Path(voicehelper_cell.web.app.__file__).read_text())
    exec(compile(text, "app.py", "exec"), bad.__dict__)
    app = bad.build(CellSettings(cell_id="ctest0000001"), Mock(), Mock(), Mock())
    app.state.ready = lambda: True
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cell") as client:
        assert (await client.get("/api/v1/probe")).status_code == 500
        assert (await client.get("/healthz")).status_code == 200
