"""Brings the Postgres schema ``analytics`` to the newest revision. Safe to run twice, also at once."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

SCHEMA = "analytics"


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def migrate(dsn: str) -> None:
    """Run the migrations as the role of ``dsn``, which owns the schema."""
    engine = create_async_engine(urlunsplit(urlsplit(dsn)._replace(scheme="postgresql+asyncpg")), poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock(hashtext('{SCHEMA}.migrate'))"))
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()
