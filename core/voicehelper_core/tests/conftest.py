"""What the tests of the substrates stand on: a throwaway PostgreSQL, an API server, a stand-in for Vault."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from voicehelper_core import embedded_store, kubernetes_api, vault
from voicehelper_core.kubernetes_api import Api
from voicehelper_core.tests.vault_server import VaultServer
from voicehelper_core.tests.watcher import Watcher
from voicehelper_e2e.cluster.alone import ApiServer, remove_resources


class Postgres:
    """A server that the tests may stop, kill and start again."""

    def __init__(self, binaries: Path, folder: Path, prefix: list[str]) -> None:
        self._binaries, self._folder, self._prefix = binaries, folder, prefix
        self.dsn = f"postgresql://postgres@/postgres?host={folder}"

    def run(self, program: str, *arguments: str) -> None:
        command = [*self._prefix, str(self._binaries / program), *arguments]
        subprocess.run(command, check=True, cwd=self._folder, capture_output=True)

    def init(self) -> None:
        self.run("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-N", "--no-locale", "-E", "UTF8")

    def start(self) -> None:
        options = f"-c listen_addresses='' -c unix_socket_directories={self._folder} -c fsync=off -c wal_level=logical"
        self.run("pg_ctl", "-D", "data", "-l", "log", "-o", options, "-w", "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")


def _binaries() -> Path | None:
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    return next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    binaries = _binaries()
    if binaries is None:
        pytest.fail("PostgreSQL is needed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="vhpg", dir="/tmp"))  # a socket's path has at most 107 characters
    prefix = []
    if os.geteuid() == 0:  # Postgres refuses to run as root
        shutil.chown(folder, "nobody")
        prefix = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    server = Postgres(binaries, folder, prefix)
    server.init()
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture
async def pool(postgres: Postgres) -> AsyncIterator[Any]:
    """A pool of an empty store."""
    await embedded_store.install(postgres.dsn)
    pool = await embedded_store.connect(postgres.dsn)
    try:
        await pool.execute(
            "TRUNCATE resources.objects, resources.tombstones, resources.events, resources.leases;"
            "UPDATE resources.horizon SET version = 0"
        )
        yield pool
    finally:
        await pool.close()


@pytest.fixture
def store(pool: Any) -> embedded_store.PostgresResourceStore:
    return embedded_store.PostgresResourceStore(pool, poll_seconds=0.5)


@pytest.fixture
def postgres_store(store: embedded_store.PostgresResourceStore) -> embedded_store.PostgresResourceStore:
    return store


@pytest.fixture
async def api(api_server: ApiServer) -> AsyncIterator[Api]:
    """A client of an API server that has none of our resources."""
    api = await kubernetes_api.connect(api_server.kubeconfig)
    try:
        await remove_resources(api)
        yield api
    finally:
        await api.close()


@pytest.fixture
def kubernetes_store(api: Api) -> kubernetes_api.KubernetesResourceStore:
    return kubernetes_api.KubernetesResourceStore(api)


@pytest.fixture
async def watching() -> AsyncIterator[Callable[[AsyncIterator[Any]], Watcher]]:
    """Starts to listen to a watch; all listening ends with the test."""
    started = []

    def start(changes: AsyncIterator[Any]) -> Watcher:
        started.append(Watcher(changes))
        return started[-1]

    yield start
    for watcher in started:
        await watcher.end()


@pytest.fixture
def tenant() -> Callable[..., dict[str, Any]]:
    """A manifest of a Tenant."""

    def make(name: str = "acme", *, metadata: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
        return {
            "apiVersion": "voicehelper.io/v1alpha1",
            "kind": "Tenant",
            "metadata": {"name": name, **(metadata or {})},
            "spec": {"planRef": "team", "admin": {"email": "admin@acme.example"}, **spec},
        }

    return make


@pytest.fixture
def vault_server() -> Iterator[VaultServer]:
    """A stand-in for Vault that the operator may log in to."""
    server = VaultServer()
    yield server
    server.stop()


@pytest.fixture
async def connection(vault_server: VaultServer, tmp_path: Path) -> AsyncIterator[vault.VaultConnection]:
    """As the operator's service account."""
    token = tmp_path / "token"
    token.write_text("voicehelper-prod/operator\n")
    connection = vault.VaultConnection(vault.VaultServer(vault_server.address, "voicehelper-operator", token))
    yield connection
    await connection.close()


@pytest.fixture
def vault_store(connection: vault.VaultConnection) -> vault.VaultSecretStore:
    return vault.VaultSecretStore(connection)
