"""Brings the schemas of a cell to the newest revision; a step of a rollout, never of a process start.

Safe to kill and to run twice, also at once: each service's migrations run in one transaction under a lock, as the
role that owns its schema.
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from voicehelper_core import faults, names

from voicehelper_cell.settings import MigrateSettings


def _upgrade(connection: Connection, cell_id: str, service: str) -> str:
    schema = names.schema(cell_id, service)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / service / "migrations"))
    config.attributes.update(connection=connection, cell_id=cell_id, schema=schema)
    command.upgrade(config, "head")
    context = MigrationContext.configure(connection, opts={"version_table_schema": schema})
    return str(context.get_current_revision())


async def migrate_service(dsn: str, cell_id: str, service: str) -> str:
    """Upgrade one schema; its revision."""
    engine = create_async_engine(urlunsplit(urlsplit(dsn)._replace(scheme="postgresql+asyncpg")), poolclass=NullPool)
    owner = names.owner_role(cell_id, service)
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"SET LOCAL ROLE {owner}"))
            await connection.execute(text(f"SELECT pg_advisory_xact_lock(hashtext('{owner}.migrate'))"))
            revision = await connection.run_sync(_upgrade, cell_id, service)
            await faults.point("cell.migrate.before")
        await faults.point("cell.migrate.recorded")
    finally:
        await engine.dispose()
    return revision


async def migrate(settings: MigrateSettings) -> str:
    """Upgrade all schemas; prints the revisions as one line of JSON and returns them."""
    revisions = [
        f"{service}={await migrate_service(settings.postgres_dsn, settings.cell_id, service)}"
        for service in names.SERVICES
    ]
    revision = ",".join(revisions)
    result = json.dumps({"schema_revision": revision})
    print(result, flush=True)
    if settings.result_file:
        settings.result_file.write_text(result)
    return revision
