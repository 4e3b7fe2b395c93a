"""Outbox rows go only once the reader of the log has confirmed them, shown with a real reader (pg_recvlogical)."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
from voicehelper_core import names

from voicehelper_operator.slices.postgres.stream import Stream

pytestmark = pytest.mark.integration
CELL, SLOT, HOURS = "cpurge000001", "purge_test", 24
SCHEMA = names.schema(CELL, "conversation")
RECEIVER = shutil.which("pg_recvlogical") or "/usr/lib/postgresql/15/bin/pg_recvlogical"


@pytest.fixture
async def postgres(platform) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(platform.postgres_dsn)
    await connection.execute(f"CREATE SCHEMA {SCHEMA}")
    await connection.execute(f"CREATE TABLE {SCHEMA}.outbox (what text, created_at timestamptz)")
    await connection.execute("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", SLOT)
    yield connection
    await connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
    await connection.execute(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1", SLOT
    )
    await connection.close()


@contextmanager
def reading(platform, out: Path) -> Iterator[None]:
    reader = subprocess.Popen(
        [
            RECEIVER, "--start", "-S", SLOT, "-h", "127.0.0.1", "-p", str(platform.ports["postgres"]), "-U", "debezium",
            "-d", "voicehelper", "-f", str(out), "--status-interval=1", "--fsync-interval=1", "-o", "proto_version=1",
            "-o", "publication_names=voicehelper",
        ],
        env={**os.environ, "PGPASSWORD": platform.secrets["debezium_password"]},
    )  # fmt: skip
    try:
        yield
    finally:
        reader.terminate()
        reader.wait(20)


async def _add(postgres: asyncpg.Connection, what: str, hours: int) -> None:
    insert = f"INSERT INTO {SCHEMA}.outbox VALUES ($1, now() - $2 * interval '1 hour')"
    await postgres.execute(insert, what, hours)


async def _left(postgres: asyncpg.Connection) -> list[str]:
    return [row["what"] for row in await postgres.fetch(f"SELECT what FROM {SCHEMA}.outbox ORDER BY what")]


async def _until(check: Callable[[], object], step: Callable[[], object]) -> None:
    end = time.monotonic() + 90
    while not check():
        assert time.monotonic() < end
        await step()
        await asyncio.sleep(0.5)


async def test_only_what_was_confirmed_is_purged(platform, postgres, tmp_path):
    stream, removed = Stream(SLOT, HOURS), []
    await _add(postgres, "old", HOURS + 1)
    await _add(postgres, "young", 0)

    async def look() -> None:
        await postgres.execute("SELECT pg_logical_emit_message(false, 'test', 'x')")
        await postgres.execute("CHECKPOINT")  # tells which transactions run, which is what moves catalog_xmin
        await stream.look(postgres)
        removed.append(await stream.purge(postgres, CELL))

    await look()
    assert stream.trouble[0] == "NotRead"
    assert (removed, await _left(postgres)) == ([0], ["old", "young"])
    with reading(platform, tmp_path / "first"):
        await _until(lambda: sum(removed), look)
        assert stream.trouble is None
    assert await _left(postgres) == ["young"]

    await _until(lambda: stream.trouble, look)
    await _add(postgres, "old and unread", HOURS + 1)
    await look()
    assert await _left(postgres) == ["old and unread", "young"]

    await postgres.execute("SELECT pg_drop_replication_slot($1)", SLOT)
    await look()
    assert stream.trouble[0] == "SlotMissing"
    await postgres.execute("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", SLOT)
    await look()  # the new slot is younger than the row, but nobody has confirmed anything through it
    assert await _left(postgres) == ["old and unread", "young"]
