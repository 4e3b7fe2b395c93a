"""A client that nobody spoils, and a world without our resources."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from voicehelper_core import kubernetes_api
from voicehelper_core.kubernetes_api.kinds import LEASE, SECRET
from voicehelper_e2e.bad_api.record import recording
from voicehelper_e2e.bad_api.world import World
from voicehelper_e2e.cluster.alone import ApiServer, remove_resources


@pytest.fixture
async def world(api_server: ApiServer, tmp_path: Path) -> AsyncIterator[World]:
    api = await kubernetes_api.connect(api_server.kubeconfig)
    await _clean(api)
    async with recording(api) as record:
        yield World(api, tmp_path / "stores", record)
    await _clean(api)
    await api.close()


async def _clean(api: kubernetes_api.Api) -> None:
    await remove_resources(api)
    await api.delete(LEASE, "operator", "default")
    for item in (await api.list(SECRET, "default", labels="app.kubernetes.io/part-of=voicehelper"))[0]:
        await api.delete(SECRET, item["metadata"]["name"], "default")
