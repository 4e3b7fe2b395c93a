"""Fixtures that every room's tests share, each started once: a whole platform, an API server, an S3 server."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from voicehelper_core.embedded_secrets import FileSecretStore
from voicehelper_e2e.cluster import alone
from voicehelper_e2e.cluster.alone import ApiServer
from voicehelper_e2e.s3_server import S3Server, s3_server
from voicehelper_embedded.throwaway import Platform, throwaway
from voicehelper_operator.cells.apply import objects_config
from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.credentials import CellCredentials
from voicehelper_operator.slices.interface import CellRef
from voicehelper_operator.slices.s3 import S3ObjectsSlice

_PLATFORM, _OTHERS = "on the platform", "beside it"
"""Groups of integration tests: ``make integration`` runs each in a process of its own (pytest-xdist)."""


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the marks in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on the platform share one, so they stay together; API servers, Envoys and S3 servers go beside it."""
    for item in items:
        if item.get_closest_marker("integration"):
            on_it = "platform" in getattr(item, "fixturenames", ())
            item.add_marker(pytest.mark.xdist_group(_PLATFORM if on_it else _OTHERS))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What runs beside the platform gives way to it (with the processes that it starts): that one is timed."""
    group = item.get_closest_marker("xdist_group")
    if os.geteuid() == 0 and group is not None and "PYTEST_XDIST_WORKER" in os.environ:
        os.setpriority(os.PRIO_PROCESS, 0, 10 if group.args == (_OTHERS,) else 0)


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """The whole platform with the two example tenants ``acme`` (shared cell) and ``globex`` (dedicated)."""
    with throwaway(faults=True) as running:
        yield running


@pytest.fixture(scope="session")
def api_server() -> Iterator[ApiServer]:
    """A Kubernetes API server with the project's CRDs and the controllers, but no node."""
    with alone.api_server() as running:
        yield running


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server. Building it takes minutes, once: tests that use it have a timeout of their own."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
async def s3_cell(s3: S3Server, tmp_path: Path) -> AsyncIterator[Callable[[str], Awaitable[dict[str, str]]]]:
    """Makes a cell's bucket as the operator does, and gives what the cell is told of it."""
    settings = OperatorSettings(
        objects_endpoint=s3.endpoint,
        objects_region=s3.region,
        objects_admin_access_key=s3.access_key,
        objects_admin_secret_key=s3.secret_key,
    )
    credentials = CellCredentials(FileSecretStore(tmp_path))
    objects = S3ObjectsSlice(settings, credentials)

    async def make(cell_id: str) -> dict[str, str]:
        await objects.ensure(CellRef(cell_id))
        return objects_config(settings, await credentials.of(cell_id), cell_id)

    yield make
    await objects.close()
