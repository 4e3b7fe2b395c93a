"""A cell whose services run alone: slices as the operator makes them on a platform's stores, nine processes, mTLS."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from confluent_kafka import KafkaException
from voicehelper_core import names
from voicehelper_core.call_graph import SERVICES, callees
from voicehelper_core.certificates import Certificates, renewed
from voicehelper_core.embedded_secrets import FileSecretStore
from voicehelper_core.errors import Unavailable
from voicehelper_embedded.context import DATABASE, HOST
from voicehelper_embedded.ports import pick
from voicehelper_embedded.throwaway import Platform, tenant
from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.credentials import CellCredentials, service_password
from voicehelper_operator.slices.interface import CellRef, Slice, TenantRef
from voicehelper_operator.slices.kafka import KafkaSlice
from voicehelper_operator.slices.milvus import MilvusSlice
from voicehelper_operator.slices.objects import ObjectsSlice
from voicehelper_operator.slices.postgres import PostgresSlice
from voicehelper_operator.slices.postgres.logins import pool_size

READY_SECONDS = 90
TENANTS = {"acme": "acme-elsewhere", "globex": "globex-elsewhere"}
"""Of this cell, by what tests call them. The real ``acme`` would keep what it said here in the shared analytics."""


_taken: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on now, and that no system gives to a connection meanwhile."""
    _taken.add(port := pick(_taken))
    return port


@dataclass
class Process:
    """One service."""

    service: str
    config: dict[str, Any]
    log: Path
    environment: Mapping[str, str]
    running: subprocess.Popen[bytes] | None = None

    def start(self, **environment: str) -> None:
        path = self.log.with_suffix(".json")
        path.write_text(json.dumps(self.config))
        path.chmod(0o600)
        command = [sys.executable, "-m", "voicehelper_cell", "serve", self.service]
        variables = {**self.environment, **environment, "VOICEHELPER_CONFIG": str(path)}
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(command, env=variables, stdout=log, stderr=log)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.config['http_port']}"

    @property
    def grpc(self) -> str:
        return f"{HOST}:{self.config['grpc_port']}"

    def wait(self) -> None:
        """Until it is ready. Raises AssertionError with the end of its log."""
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            assert self.running is not None
            if self.running.poll() is not None:
                break
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/readyz", trust_env=False).status_code == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(f"{self.service} did not become ready:\n{self.log.read_text()[-3000:]}")

    def end(self, number: int = signal.SIGTERM) -> int:
        """Its exit status."""
        assert self.running is not None
        self.running.send_signal(number)
        return self.running.wait(60)


@dataclass
class ExpandedCell:
    """The whole cell."""

    platform: Platform
    folder: Path
    cell_id: str = field(default_factory=names.new_id)
    processes: dict[str, Process] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ref = CellRef(self.cell_id, 20, "expanded")
        self.certificates: Certificates = renewed(None, self.cell_id, SERVICES)
        self.credentials = CellCredentials(FileSecretStore(self.folder / "secrets"))
        self.settings = self._settings()

    def _settings(self) -> OperatorSettings:
        ports, secrets = self.platform.ports, self.platform.secrets
        return OperatorSettings(
            postgres_admin_dsn=self.platform.postgres_dsn,
            postgres_host=HOST,
            postgres_port=ports["postgres"],
            postgres_database=DATABASE,
            kafka_bootstrap=f"{HOST}:{ports['kafka']}",
            kafka_admin_user="admin",
            kafka_admin_password=secrets["kafka_admin_password"],
            milvus_uri=f"http://{HOST}:{ports['milvus']}",
            objects_root=str(self.folder / "objects"),
        )

    @asynccontextmanager
    async def slices(self) -> AsyncIterator[list[Slice]]:
        """In the order in which they are made."""
        postgres, milvus = PostgresSlice(self.settings, self.credentials), MilvusSlice(self.settings)
        try:
            yield [postgres, KafkaSlice(self.settings, self.credentials), milvus, ObjectsSlice(self.settings)]
        finally:
            await postgres.close()
            await milvus.close()

    def tenant(self, name: str) -> TenantRef:
        """A tenant of the platform, whose tokens are good for this cell once it is placed here."""
        own = TENANTS[name]
        return TenantRef(self.platform.resource("tenant", own)["status"]["tenantId"], own)

    async def make(self, *tenants: str) -> None:
        """Slices, migrations, tenants."""
        async with self.slices() as slices:
            for item in slices:
                await item.ensure(self.ref)
                assert await item.verify(self.ref) is None
            await slices[0].let_migrate(self.ref, allowed=True)
            await asyncio.to_thread(self._migrate, (await self.credentials.of(self.cell_id))["migrator_password"])
            await slices[0].let_migrate(self.ref, allowed=False)
            await slices[0].ensure(self.ref)  # the publication has the tables now
            for name in tenants:
                for item in slices:
                    await item.ensure_tenant(self.ref, self.tenant(name))

    def _migrate(self, password: str) -> None:
        dsn = self._dsn(names.migrator_role(self.cell_id), password)
        environment = {
            **self.platform.environment,
            "VOICEHELPER_CELL_ID": self.cell_id,
            "VOICEHELPER_POSTGRES_DSN": dsn,
        }
        subprocess.run([sys.executable, "-m", "voicehelper_cell", "migrate"], env=environment, check=True, timeout=120)

    def _dsn(self, role: str, password: str) -> str:
        place = f"{self.settings.postgres_host}:{self.settings.postgres_port}/{self.settings.postgres_database}"
        return f"postgresql://{role}:{password}@{place}"

    async def place(self, name: str, *, placed: bool) -> None:
        """Put a tenant on the cell's list, or take it off."""
        async with self.slices() as slices:
            if placed:
                await slices[0].ensure_tenant(self.ref, self.tenant(name))
            else:
                await slices[0].remove_tenant(self.ref, self.tenant(name).tenant_id, data=False)

    async def remove(self) -> None:
        """All slices; Kafka forgets a killed consumer, and the last events are read, after a while."""
        async with self.slices() as slices:
            for item in slices:
                async with asyncio.timeout(60):
                    while True:
                        try:
                            await item.remove(self.ref)
                        except (Unavailable, KafkaException):
                            await asyncio.sleep(0.5)
                        else:
                            break

    def configure(self, passwords: Mapping[str, str]) -> None:
        """Ports, files and settings of every service."""
        addresses = {service: f"{HOST}:{free_port()}" for service in SERVICES}
        for service in SERVICES:
            self.processes[service] = self._process(service, service, addresses, passwords)
        for service in ("conversation", "indexing"):
            replica = {**addresses, service: f"{HOST}:{free_port()}"}
            self.processes[f"{service}-2"] = self._process(f"{service}-2", service, replica, passwords)

    def _process(self, name: str, service: str, addresses: Mapping[str, str], passwords: Mapping[str, str]) -> Process:
        ports, settings = self.platform.ports, self.settings
        paths = [self.folder / f"{name}-{end}" for end in ("ca.crt", "tls.crt", "tls.key")]
        for path, text in zip(paths, self.certificates.files(service).values(), strict=True):
            path.write_text(text)
        config = {
            "cell_id": self.cell_id,
            "release": "test",
            "http_port": free_port(),
            "grpc_port": int(addresses[service].rpartition(":")[2]),
            "probe_port": free_port(),
            "services": {callee: addresses[callee] for callee in callees(service)},
            "postgres_dsn": self._dsn(names.service_login(self.cell_id, service), passwords[service_password(service)]),
            "postgres_pool_size": pool_size(self.ref.postgres_connections, service, 1),
            "jwks_url": f"http://{HOST}:{ports['api']}/.well-known/jwks.json",
            "inference_address": f"{HOST}:{ports['inference-grpc']}",
            "analytics_address": f"{HOST}:{ports['analytics-grpc']}",
            "milvus_uri": settings.milvus_uri,
            "objects_root": settings.objects_root,
            "tls_ca_file": str(paths[0]),
            "tls_certificate_file": str(paths[1]),
            "tls_key_file": str(paths[2]),
        }
        if service == "indexing":
            config |= {
                "kafka_bootstrap": settings.kafka_bootstrap,
                "kafka_user": names.kafka_user(self.cell_id),
                "kafka_password": passwords["kafka_password"],
            }
        environment = {key: value for key, value in self.platform.environment.items() if "FAULT" not in key}
        return Process(service, config, self.folder / f"{name}.log", environment)

    def client(self, tenant: str) -> httpx.Client:
        """HTTP as the tenant's admin, past the router, which knows nothing of this cell."""
        if tenant not in self.tokens:
            self.tokens[tenant] = self.platform.token(TENANTS[tenant])
        headers = {"X-Tenant-ID": TENANTS[tenant], "Authorization": f"Bearer {self.tokens[tenant]}"}
        return httpx.Client(base_url=self.processes["web"].url, headers=headers, timeout=60, trust_env=False)

    def token(self, tenant: str) -> str:
        """A token of the tenant's admin."""
        self.client(tenant).close()
        return self.tokens[tenant]


@contextlib.contextmanager
def expanded_cell(platform: Platform, folder: Path) -> Iterator[ExpandedCell]:
    """Running, with the tenants acme and globex."""
    cell = ExpandedCell(platform, folder)
    (folder / "secrets").mkdir()
    (folder / "objects").mkdir()
    platform.cli("apply", "-f", "-", stdin=yaml.safe_dump_all([tenant(name, "team") for name in TENANTS.values()]))
    try:
        for name in TENANTS.values():
            platform.cli("wait", f"tenant/{name}", "--for", "condition=Ready", "--timeout", "120s")
        asyncio.run(cell.make("acme", "globex"))
        cell.configure(asyncio.run(cell.credentials.of(cell.cell_id)))
        first = [process for name, process in cell.processes.items() if name in SERVICES]
        for process in first:
            process.start()
        for process in first:
            process.wait()
        yield cell
    finally:
        for process in cell.processes.values():
            if process.running is not None and process.running.poll() is None:
                process.end(signal.SIGKILL)
        asyncio.run(cell.remove())
        for name in TENANTS.values():
            platform.cli("delete", "tenant", name, "--wait")
