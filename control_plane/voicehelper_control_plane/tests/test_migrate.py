"""A control plane that goes back works with the schema that a newer one has expanded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from voicehelper_control_plane.migrate import head, migrate, missing
from voicehelper_core.errors import Unprocessable


@pytest.fixture
async def pool(postgres: Any) -> AsyncIterator[asyncpg.Pool]:
    await asyncio.gather(migrate(postgres.dsn), migrate(postgres.dsn))
    async with asyncpg.create_pool(postgres.dsn, min_size=1, max_size=1) as found:
        yield found
        await found.execute("UPDATE identity.alembic_version SET version_num = $1", head())


async def at(pool: asyncpg.Pool, revision: str) -> None:
    await pool.execute("UPDATE identity.alembic_version SET version_num = $1", revision)


async def test_a_newer_schema_is_left_as_it_is_and_served(postgres: Any, pool: asyncpg.Pool) -> None:
    await at(pool, "0099")
    await migrate(postgres.dsn)
    assert await pool.fetchval("SELECT version_num FROM identity.alembic_version") == "0099"
    assert await missing(pool, head()) is None


async def test_an_older_schema_is_not_served(pool: asyncpg.Pool) -> None:
    await at(pool, "0001")
    told = await missing(pool, head())
    assert told is not None
    assert "0001" in told


async def test_a_schema_of_another_line_is_refused(postgres: Any, pool: asyncpg.Pool) -> None:
    await at(pool, "ae1027a6acf")
    with pytest.raises(Unprocessable, match="the schema of identity is at revision 'ae1027a6acf'"):
        await migrate(postgres.dsn)
