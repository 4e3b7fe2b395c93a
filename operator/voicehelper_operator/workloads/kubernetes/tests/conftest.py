"""A runtime and a cell for it."""

from __future__ import annotations

import contextlib

import pytest
from voicehelper_core import errors, kubernetes_api, names
from voicehelper_core.kubernetes_api import kinds as k

from voicehelper_operator.workloads.interface import WorkloadSpec
from voicehelper_operator.workloads.kubernetes import naming
from voicehelper_operator.workloads.kubernetes.tests.harness import Running


@pytest.fixture
async def api(api_server):
    api = await kubernetes_api.connect(api_server.kubeconfig)
    yield api
    await api.close()


@pytest.fixture
async def running(api):
    running = Running(api)
    yield running
    await running.end()


@pytest.fixture
async def spec(api):
    cell_id = names.new_id()
    yield WorkloadSpec(cell_id, "r1", {"cell_id": cell_id, "password": "one"}, cell="shared-1")
    with contextlib.suppress(errors.NotFound):
        await api.delete(k.NAMESPACE, naming.namespace(cell_id))
