"""A resource store with many tenants, in a PostgreSQL of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
from voicehelper_core import embedded_store
from voicehelper_core.embedded_store import rows
from voicehelper_core.resource_rules import dump
from voicehelper_crds import Cell, Tenant
from voicehelper_crds.cells import CellStatus, Endpoints
from voicehelper_crds.meta import Condition
from voicehelper_crds.tenants import TenantStatus
from voicehelper_embedded.preflight import postgres_bin

_CONDITIONS = ("Accepted", "Placed", "SlicesReady", "IdentityReady", "Routable", "Ready")
_COLUMNS = (
    "kind", "name", "uid", "generation", "resource_version", "labels", "annotations", "finalizers", "owner_references",
    "spec", "status",
)  # fmt: skip


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A server that listens on a socket in ``folder`` (at most 90 characters long); the DSN without a database."""
    binaries, prefix = postgres_bin(), []
    if os.geteuid() == 0:  # Postgres refuses to run as root
        shutil.chown(folder, "nobody")
        prefix = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [*prefix, binaries / program, "-D", "data", *arguments], check=True, cwd=folder, capture_output=True
        )

    run("initdb", "-U", "postgres", "-A", "trust", "-N", "--no-locale", "-E", "UTF8")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c shared_buffers=64MB"
    run("pg_ctl", "-l", "postgres.log", "-o", options, "-w", "start")
    try:
        yield f"postgresql://postgres@/{{}}?host={folder}"
    finally:
        run("pg_ctl", "-m", "immediate", "-w", "stop")


def tenant_name(number: int) -> str:
    """Name of a tenant."""
    return f"tenant-{number:06}"


def cell_id(number: int) -> str:
    """Id (and name) of a cell."""
    return f"cell{number:08}"


def tenant_id(number: int) -> str:
    """Id of a tenant."""
    return f"t{number:011}"


def _conditions() -> list[Condition]:
    now = datetime.now(UTC)
    return [
        Condition(
            type=kind, status="True", reason="AsWanted", message="", last_transition_time=now, observed_generation=1
        )
        for kind in _CONDITIONS
    ]


def tenant_status(number: int, cell: str) -> TenantStatus:
    """What a tenant that is served looks like."""
    return TenantStatus(
        conditions=_conditions(), phase="Ready", tenant_id=tenant_id(number), cell=cell, cell_id=cell,
        placement_reason="the emptiest cell", endpoint="http://127.0.0.1:8080", observed_generation=1,
    )  # fmt: skip


def cell_status(cell: str, port: int) -> CellStatus:
    """What a cell that is served looks like."""
    return CellStatus(
        conditions=_conditions(), phase="Ready", cell_id=cell, endpoints=Endpoints(http=f"127.0.0.1:{port}"),
        observed_generation=1,
    )  # fmt: skip


def _records(tenants: int, cells: int, ports: tuple[int, ...]) -> Iterator[tuple[Any, ...]]:
    """Rows in the order of ``_COLUMNS``. Models are made once and their text is copied: 100,000 would take minutes."""

    def row(version: int, kind: str, name: str, spec: str, status: str) -> tuple[Any, ...]:
        return (kind, name, uuid.uuid4(), 1, version, "{}", "{}", [], "[]", spec, status)

    for number in range(cells):
        status = rows.to_json(dump(cell_status(cell_id(number), ports[number % len(ports)])))
        yield row(number + 1, Cell.kind_name, cell_id(number), "{}", status)
    sample, cell = tenant_status(0, cell_id(0)), cell_id(0)
    spec = rows.to_json({"planRef": "team", "admin": {"email": "admin@tenant.example"}, "displayName": "A tenant"})
    status = rows.to_json(dump(sample))
    for number in range(tenants):
        own = status.replace(str(sample.tenant_id), tenant_id(number)).replace(cell, cell_id(number % cells))
        yield row(cells + number + 1, Tenant.kind_name, tenant_name(number), spec, own)


async def fill(dsn: str, database: str, tenants: int, cells: int, ports: tuple[int, ...]) -> str:
    """Make ``database`` with so many tenants in so many cells, whose servers listen on ``ports`` in turn. Its DSN.

    Rows are copied in as the operator would have left them: through the API they would take an hour.
    """
    admin = await asyncpg.connect(dsn.format("postgres"))
    await admin.execute(f'CREATE DATABASE "{database}"')
    await admin.close()
    own = dsn.format(database)
    await embedded_store.install(own)
    connection = await asyncpg.connect(own)
    try:
        await connection.copy_records_to_table(
            "objects", schema_name="resources", records=_records(tenants, cells, ports), columns=_COLUMNS
        )
        await connection.execute("SELECT setval('resources.version', $1)", tenants + cells + 1)
        await connection.execute("ANALYZE resources.objects")
    finally:
        await connection.close()
    return own
