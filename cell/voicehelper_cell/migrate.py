"""Brings the schemas of a cell to the newest revision; a step of a rollout, never of a process start.

Safe to kill and to run twice, also at once: each service's migrations run in one transaction under a lock, as the
role that owns its schema. A cell that goes back meets schemas that a newer release has expanded: they are left as they
are (``revisions.py``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from voicehelper_core import faults, names

from voicehelper_cell import revisions
from voicehelper_cell.settings import MigrateSettings


@dataclass(frozen=True, slots=True)
class Migrated:
    """The revision of a schema, and whether a newer release has brought it there."""

    revision: str
    ahead: bool


def _upgrade(connection: Connection, cell_id: str, service: str) -> Migrated:
    schema = names.schema(cell_id, service)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / service / "migrations"))
    config.attributes.update(connection=connection, cell_id=cell_id, schema=schema)
    known = {
        script.revision: script.module.follows if getattr(script.module, "contract", False) else None
        for script in ScriptDirectory.from_config(config).walk_revisions()
    }
    context = MigrationContext.configure(connection, opts={"version_table_schema": schema})
    found, table = context.get_current_revision(), f"{schema}.alembic_version"
    needed = connection.scalar(text("SELECT obj_description(to_regclass(:table), 'pg_class')"), {"table": table})
    if found is not None and revisions.ahead(service, found, known, needed):
        return Migrated(found, ahead=True)
    command.upgrade(config, "head")
    if follows := max(filter(None, known.values()), default=None):  # for releases that do not know what contracted
        connection.exec_driver_sql(f"COMMENT ON TABLE {table} IS '{follows}'")
    return Migrated(str(context.get_current_revision()), ahead=False)


async def migrate_service(dsn: str, cell_id: str, service: str) -> Migrated:
    """Upgrade one schema. Raises Unprocessable where this release cannot work with it."""
    engine = create_async_engine(urlunsplit(urlsplit(dsn)._replace(scheme="postgresql+asyncpg")), poolclass=NullPool)
    owner = names.owner_role(cell_id, service)
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"SET LOCAL ROLE {owner}"))
            await connection.execute(text(f"SELECT pg_advisory_xact_lock(hashtext('{owner}.migrate'))"))
            migrated = await connection.run_sync(_upgrade, cell_id, service)
            await faults.point("cell.migrate.before")
        await faults.point("cell.migrate.recorded")
    finally:
        await engine.dispose()
    return migrated


async def migrate(settings: MigrateSettings) -> str:
    """Upgrade all schemas; prints the revisions, and those that are ahead of this release, as one line of JSON.

    Returns the revisions.
    """
    dsn, cell_id = settings.postgres_dsn, settings.cell_id
    done = {service: await migrate_service(dsn, cell_id, service) for service in names.SERVICES}
    revision = ",".join(f"{service}={one.revision}" for service, one in done.items())
    ahead = [f"{service}={one.revision}" for service, one in done.items() if one.ahead]
    result = json.dumps({"schema_revision": revision, "ahead": ahead})
    print(result, flush=True)
    if settings.result_file:
        settings.result_file.write_text(result)
    return revision
