"""Fixtures that every room's tests share, each started once: a whole platform, an API server, an S3 server."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from voicehelper_core.embedded_secrets import FileSecretStore
from voicehelper_e2e.cluster import alone
from voicehelper_e2e.cluster.alone import ApiServer
from voicehelper_e2e.s3_server import S3Server, s3_server
from voicehelper_embedded.throwaway import Platform, throwaway
from voicehelper_operator.cells.specs import objects_config
from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.credentials import CellCredentials
from voicehelper_operator.slices.interface import CellRef
from voicehelper_operator.slices.s3 import S3ObjectsSlice
from xdist.scheduler import LoadScopeScheduling

_FIRST, _SECOND = "on the platform", "beside it"
"""Groups of integration tests, which take equally long: ``make integration`` runs each in a process of its own
(pytest-xdist). In the second are those that need no platform, and some that have another one to themselves."""
_ON_ANOTHER = (
    "e2e/",
    "embedded/voicehelper_embedded/tests/test_archive",
)
_NAMED = re.compile(r"\b(platform|attacker)\b\s*[,:)]")
"""The fixture, or one that the cells' tests have of it, as a parameter."""


@cache
def _on_platform(path: str) -> bool:
    """Whether a module's tests are, by its text and that of its folder's fixtures: who shares out collects none."""
    module = Path(__file__).parent / path
    texts = [file.read_text() for file in (module, module.parent / "conftest.py") if file.exists()]
    return any(_NAMED.search(text) for text in texts)


def _group(path: str) -> str:
    return _FIRST if _on_platform(path) and not path.startswith(_ON_ANOTHER) else _SECOND


class TwoGroups(LoadScopeScheduling):
    """Tests on a platform share one, so they stay together.

    Marks do not do it: pytest-xdist 3.8 writes groups where pytest 9.2 does not look for them any more.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> TwoGroups | None:
    """With ``--dist loadgroup``."""
    return TwoGroups(config, log) if config.getoption("dist") == "loadgroup" else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What runs beside platforms gives way to them (with the processes that it starts): those are timed."""
    if "PYTEST_XDIST_WORKER" not in os.environ or not item.get_closest_marker("integration"):
        return
    on_platform = "platform" in getattr(item, "fixturenames", ())
    if on_platform and not _on_platform(item.nodeid.partition("::")[0]):
        pytest.fail("name the fixture 'platform' in the module or the conftest.py beside it: its tests use it")
    if os.geteuid() == 0:
        os.setpriority(os.PRIO_PROCESS, 0, 0 if on_platform else 10)


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
