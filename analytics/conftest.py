"""Fixtures of this room: a real ClickHouse in a temporary folder, a throwaway PostgreSQL, events."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from voicehelper_analytics.schema.migrate import migrate
from voicehelper_analytics.sink.batches import Record
from voicehelper_analytics.warehouse import Warehouse
from voicehelper_core.events import Envelope, MessageSent
from voicehelper_core.tests.conftest import Postgres, postgres

__all__ = ["postgres"]


@pytest.fixture(scope="session")
async def _opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Warehouse]:
    # A process may open one chDB folder, so all tests share it.
    warehouse = Warehouse(tmp_path_factory.mktemp("chdb") / "clickhouse")
    await warehouse.open()
    yield warehouse
    await warehouse.close()


@pytest.fixture
async def warehouse(_opened: Warehouse) -> Warehouse:
    """An empty ClickHouse."""
    for table in ("message_events", "message_stats_minute"):
        await _opened.command(f"TRUNCATE TABLE {table}")
    return _opened


@pytest.fixture
async def dsn(postgres: Postgres) -> str:
    """An empty database with the schema ``analytics``."""
    import asyncpg

    name = f"analytics_{uuid.uuid4().hex[:8]}"
    connection = await asyncpg.connect(postgres.dsn)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    dsn = postgres.dsn.replace("/postgres?", f"/{name}?")
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("CREATE SCHEMA analytics")
    finally:
        await connection.close()
    await migrate(dsn)
    return dsn


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Any]:
    import asyncpg

    pool = await asyncpg.create_pool(dsn, min_size=0, max_size=3)
    try:
        yield pool
    finally:
        await pool.close()


Event = Callable[..., Envelope]


@pytest.fixture(scope="session")
def event() -> Event:
    """A message's event."""

    def make(number: int = 0, *, tenant_id: str = "tabcdefghijk", **changes: Any) -> Envelope:
        payload = MessageSent(
            conversation_id=uuid.uuid5(uuid.NAMESPACE_OID, "conversation"),
            message_id=uuid.uuid5(uuid.NAMESPACE_OID, f"message {number}"),
            role="assistant" if number % 2 else "user",
            content="Where is my parcel?",
            model="local-extractive" if number % 2 else "",
            tokens_used=10 if number % 2 else 0,
            **{key: changes.pop(key) for key in ("cost_usd",) if key in changes},
        )
        return Envelope(
            **{
                "event_id": uuid.uuid5(uuid.NAMESPACE_OID, f"event {tenant_id} {number}"),
                "event_type": payload.EVENT_TYPE,
                "event_version": payload.EVENT_VERSION,
                "aggregate_id": str(payload.conversation_id),
                "aggregate_type": "conversation",
                "tenant_id": tenant_id,
                "user_id": "user-1",
                "timestamp": datetime(2026, 11, 24, 9, number // 60 % 60, number % 60, 123456, tzinfo=UTC),
                "payload": payload,
                **changes,
            }
        )

    return make


@pytest.fixture(scope="session")
def record(event: Event) -> Callable[..., Record]:
    """A Kafka record of a message's event."""

    def make(offset: int, number: int | None = None, *, partition: int = 0, value: bytes | None = None) -> Record:
        raw = value if value is not None else event(offset if number is None else number).to_json().encode()
        return Record("cabcdefghijk.conversation.events", partition, offset, raw)

    return make


@pytest.fixture(scope="session")
def worker() -> Iterator[Path]:
    """The script that runs the sink in a process of its own."""
    yield Path(__file__).parent / "voicehelper_analytics" / "sink" / "tests" / "worker.py"
