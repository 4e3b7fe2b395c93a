"""A schema of Postgres is brought to a release's revision, by Alembic in one transaction.

Safe to kill and to run twice, also at once. A release that goes back meets schemas that a newer one has expanded: they
are left as they are (``revisions.py``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from voicehelper_core import revisions


@dataclass(frozen=True, slots=True)
class Migrated:
    """The revision of a schema, and whether a newer release has brought it there."""

    revision: str
    ahead: bool


@dataclass(frozen=True, slots=True)
class Migrations:
    """The migrations of a service's folder, for a schema."""

    service: str
    schema: str
    folder: Path
    attributes: Mapping[str, str] = field(default_factory=dict)
    """What its scripts ask for."""

    def head(self) -> str:
        """The revision that this release needs."""
        return str(ScriptDirectory.from_config(self._config()).get_current_head())

    @asynccontextmanager
    async def done(self, dsn: str, *, role: str = "", first: str = "") -> AsyncIterator[Migrated]:
        """What has been done, within the transaction, which ends with the body.

        It is done as ``role``, where one is named; ``first`` is a statement before the migrations. Raises Unprocessable
        where this release cannot work with the schema.
        """
        url = urlunsplit(urlsplit(dsn)._replace(scheme="postgresql+asyncpg"))
        engine = create_async_engine(url, poolclass=NullPool)
        try:
            async with engine.begin() as connection:
                if role:  # a cell's login may not even lock
                    await connection.execute(text(f"SET LOCAL ROLE {role}"))
                await connection.execute(text(f"SELECT pg_advisory_xact_lock(hashtext('{self.schema}.migrate'))"))
                if first:
                    await connection.execute(text(first))
                yield await connection.run_sync(self._upgrade)
        finally:
            await engine.dispose()

    def _config(self) -> Config:
        config = Config()
        config.set_main_option("script_location", str(self.folder))
        config.set_main_option("path_separator", "os")
        return config

    def _upgrade(self, connection: Connection) -> Migrated:
        config = self._config()
        config.attributes.update(self.attributes, connection=connection, schema=self.schema)
        known = {
            script.revision: script.module.follows if getattr(script.module, "contract", False) else None
            for script in ScriptDirectory.from_config(config).walk_revisions()
        }
        context = MigrationContext.configure(connection, opts={"version_table_schema": self.schema})
        found, table = context.get_current_revision(), f"{self.schema}.alembic_version"
        needed = connection.scalar(text("SELECT obj_description(to_regclass(:table), 'pg_class')"), {"table": table})
        if found is not None and revisions.ahead(self.service, found, known, needed):
            return Migrated(found, ahead=True)
        command.upgrade(config, "head")
        if follows := max(filter(None, known.values()), default=None):  # for releases that do not know what contracted
            connection.exec_driver_sql(f"COMMENT ON TABLE {table} IS '{follows}'")
        return Migrated(str(context.get_current_revision()), ahead=False)
