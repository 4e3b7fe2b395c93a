"""The cluster of these tests: their own, since they fill in and empty its webhook configuration."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from voicehelper_core import kubernetes_api
from voicehelper_e2e.admission.tests.harness import Cluster, Operator, reset, until_asked
from voicehelper_e2e.cluster.alone import api_server as started


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with started() as server:
        made = Cluster(server, tmp_path_factory.mktemp("admission"))
        made.install()
        yield made


@pytest.fixture
async def api(cluster: Cluster) -> AsyncIterator[kubernetes_api.Api]:
    """The administrator's."""
    api = await kubernetes_api.connect(cluster.server.kubeconfig)
    await reset(api)
    yield api
    await reset(api)
    await api.close()


@pytest.fixture
async def operators(cluster: Cluster, api: kubernetes_api.Api) -> AsyncIterator[Any]:
    """Starts replicas; they end with the test."""
    running: list[Operator] = []

    async def start(**options: Any) -> Operator:
        running.append(Operator(cluster, **options))
        return await running[-1].start()

    yield start
    for operator in running:
        await operator.end()


@pytest.fixture
async def asked(api: kubernetes_api.Api, operators: Any) -> Operator:
    """An operator that the API server asks."""
    operator: Operator = await operators()
    await until_asked(api, operator)
    return operator
