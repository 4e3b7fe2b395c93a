"""Brings the Postgres schema ``identity`` to the newest revision. Safe to run twice, also at once."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

SCHEMA = "identity"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def migrate(dsn: str) -> None:
    """Run the migrations as the role of ``dsn``, which owns the schema."""
    engine = create_async_engine(urlunsplit(urlsplit(dsn)._replace(scheme="postgresql+asyncpg")), poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock(hashtext('{SCHEMA}.migrate'))"))
            await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def head() -> str:
    """The revision that this code needs."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


async def missing(pool: asyncpg.Pool, needed: str) -> str | None:
    """None when the schema is at the needed revision, or what to do."""
    try:
        found = await pool.fetchval("SELECT version_num FROM identity.alembic_version")
    except asyncpg.UndefinedTableError:
        found = None
    if found != needed:
        return f"the schema is at revision {found}, not {needed}: run `python -m voicehelper_control_plane migrate`"
    return None
