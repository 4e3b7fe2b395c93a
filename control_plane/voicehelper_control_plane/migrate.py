"""Brings the Postgres schema ``identity`` to the newest revision. Safe to run twice, also at once."""

from __future__ import annotations

from pathlib import Path

import asyncpg
from voicehelper_core.migrations import Migrations

SCHEMA = "identity"
_MIGRATIONS = Migrations(SCHEMA, SCHEMA, Path(__file__).parent / "migrations")


async def migrate(dsn: str) -> None:
    """Run the migrations as the role of ``dsn``, which owns the schema.

    Raises Unprocessable where this release cannot work with it.
    """
    async with _MIGRATIONS.done(dsn, first=f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"):
        pass


def head() -> str:
    """The revision that this code needs."""
    return _MIGRATIONS.head()


async def missing(pool: asyncpg.Pool, needed: str) -> str | None:
    """None when the schema is at the needed revision, or at a later one, which a newer release made; or what to do."""
    try:
        found = await pool.fetchval("SELECT version_num FROM identity.alembic_version")
    except asyncpg.UndefinedTableError:
        found = None
    if found is None or found < needed:
        return f"the schema is at revision {found}, not {needed}: run `python -m voicehelper_control_plane migrate`"
    return None
