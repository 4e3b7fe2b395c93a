"""Brings the Postgres schema ``analytics`` to the newest revision. Safe to run twice, also at once."""

from __future__ import annotations

from pathlib import Path

from voicehelper_core.migrations import Migrations

SCHEMA = "analytics"
_MIGRATIONS = Migrations(SCHEMA, SCHEMA, Path(__file__).parent / "migrations")


async def migrate(dsn: str) -> None:
    """Run the migrations as the role of ``dsn``, which owns the schema.

    Raises Unprocessable where this release cannot work with it.
    """
    async with _MIGRATIONS.done(dsn):
        pass
