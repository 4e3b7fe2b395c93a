"""PostgreSQL with logical decoding: all relational data, the resources, and the log that Debezium reads."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path

import asyncpg
import psutil
from voicehelper_core import embedded_store

from voicehelper_embedded import files
from voicehelper_embedded.components import postgres_rights
from voicehelper_embedded.components.base import BaseComponent
from voicehelper_embedded.context import CLIENTS, DATABASE, HOST
from voicehelper_embedded.preflight import postgres_bin
from voicehelper_embedded.supervisor.process import Launch

_ORPHANS_SECONDS = 10
ROLES = {
    "control_plane": "LOGIN",
    "resources_reader": "LOGIN",
    "analytics": "LOGIN",
    "debezium": "LOGIN REPLICATION BYPASSRLS",  # without BYPASSRLS a snapshot of forced row security has 0 rows
}
_SETTINGS = """
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
max_connections = 200
shared_buffers = 64MB
wal_level = logical
max_wal_senders = 12
max_replication_slots = 12
max_slot_wal_keep_size = '{wal_ceiling}'
synchronous_commit = on
# A plan made while a table was small lives until it is analysed: at the default of 4 it may read all of it by then.
random_page_cost = 1.1
logging_collector = off
log_min_messages = warning
log_statement = none
# Neither statements (a failed ALTER ROLE holds a password) nor details of errors (they show rows of tenants).
log_min_error_statement = panic
log_error_verbosity = terse
timezone = 'UTC'
"""
_ACCESS = "".join(
    f"""
host {DATABASE} all {network} scram-sha-256
host all postgres {network} scram-sha-256
host replication debezium {network} scram-sha-256
"""
    for network in (f"{HOST}/32", *CLIENTS)
)


def _sessions(data: Path) -> list[psutil.Process]:
    """Processes of the server that keeps its data there."""
    found = []
    for process in psutil.process_iter(["name"]):
        with contextlib.suppress(psutil.Error):
            if process.info["name"] == "postgres" and process.cwd() == str(data):
                found.append(process)
    return found


async def _forget_lock(data: Path) -> None:
    """After a kill: wait until the server's other processes have ended too, then remove its lock file.

    They end by themselves within a second; a start before that is refused. Without them the file may hold the pid of
    something else (after a reboot), which would be refused as well.
    """
    lock = data / "postmaster.pid"
    if not lock.exists():
        return
    for _ in range(_ORPHANS_SECONDS * 10):
        left = [process.pid for process in await asyncio.to_thread(_sessions, data)]
        if not left:
            lock.unlink(missing_ok=True)
            return
        if int(lock.read_text().split()[0]) in left:
            return  # the server itself runs
        await asyncio.sleep(0.1)


class Postgres(BaseComponent):
    """The one Postgres server of the machine."""

    name = "postgres"
    port_name = "postgres"

    async def prepare(self) -> Launch:
        data = self.context.own_data(self.name)
        if not (data / "PG_VERSION").exists():
            await self._init(data)
        await _forget_lock(data)
        own = {"wal_ceiling": "4GB", **self.context.overrides(self.name)}
        config = _SETTINGS.format(host=HOST, port=self.port, **own)
        files.write(data / "voicehelper.conf", config, owner=self.context.home.user)
        files.write(data / "pg_hba.conf", _ACCESS, owner=self.context.home.user)
        return self._launch(data, "postgres", "-D", str(data), config=config)

    def _launch(self, data: Path, program: str, *arguments: str, config: str = "") -> Launch:
        return Launch(
            argv=[str(postgres_bin() / program), *arguments],
            environment={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC"},
            user=self.context.home.user,
            folder=data,
            stop_signal=signal.SIGINT,  # fast shutdown: sessions are ended, the data is written
            stop_seconds=20,
            files={"config": config},
        )

    async def _init(self, data: Path) -> None:
        password = self.context.write("postgres.pw", self.context.secrets["postgres_password"])
        try:
            init = self._launch(
                data, "initdb", "-D", str(data), "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
                "-A", "scram-sha-256", f"--pwfile={password}", "--no-sync",
            )  # fmt: skip
            await self.context.run_once(init)
        finally:
            password.unlink(missing_ok=True)
        with (data / "postgresql.conf").open("a") as file:
            file.write("include 'voicehelper.conf'\n")

    async def _connect(self, database: str) -> asyncpg.Connection:
        return await asyncpg.connect(
            host=HOST,
            port=self.port,
            user="postgres",
            password=self.context.secrets["postgres_password"],
            database=database,
            timeout=5,
        )

    async def probe(self) -> str | None:
        connection = await self._connect("postgres")
        try:
            await connection.fetchval("SELECT 1")
        finally:
            await connection.close()
        return None

    async def setup(self) -> None:
        connection = await self._connect("postgres")
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
            await postgres_rights.close_databases(connection)
        finally:
            await connection.close()
        connection = await self._connect(DATABASE)
        try:
            await self._roles(connection)
            lockers = ("control_plane", "analytics")
            await postgres_rights.restrict(connection, lockers=lockers, replicator="debezium")
        finally:
            await connection.close()
        connection = await asyncpg.connect(self.context.dsn("control_plane"), timeout=5)
        try:
            await embedded_store.install(connection)
        finally:
            await connection.close()

    async def _roles(self, connection: asyncpg.Connection) -> None:
        for role, options in ROLES.items():
            known = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
            statement = await connection.fetchval(
                f"SELECT format('{'ALTER' if known else 'CREATE'} ROLE {role} {options} PASSWORD %L', $1::text)",
                self.context.secrets[f"{role}_password"],
            )
            await connection.execute(statement)
        await connection.execute(f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC")
        await connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        await connection.execute(f"GRANT CONNECT ON DATABASE {DATABASE} TO {', '.join(ROLES)}")
        await connection.execute(f"GRANT CREATE ON DATABASE {DATABASE} TO control_plane")
        for schema, role in (("identity", "control_plane"), ("analytics", "analytics")):
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {role}")
        if not await connection.fetchval("SELECT 1 FROM pg_publication WHERE pubname = 'voicehelper'"):
            await connection.execute("CREATE PUBLICATION voicehelper")
