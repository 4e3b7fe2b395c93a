"""Brings the schemas of a cell to the newest revision; a step of a rollout, never of a process start.

Safe to kill and to run twice, also at once: each service's migrations run in one transaction under a lock, as the
role that owns its schema. A cell that goes back meets schemas that a newer release has expanded: they are left as they
are (``core.revisions``).
"""

from __future__ import annotations

import json
from pathlib import Path

from voicehelper_core import faults, names
from voicehelper_core.migrations import Migrated, Migrations

from voicehelper_cell.settings import MigrateSettings


async def migrate_service(dsn: str, cell_id: str, service: str) -> Migrated:
    """Upgrade one schema. Raises Unprocessable where this release cannot work with it."""
    folder = Path(__file__).parent / service / "migrations"
    migrations = Migrations(service, names.schema(cell_id, service), folder, {"cell_id": cell_id})
    async with migrations.done(dsn, role=names.owner_role(cell_id, service)) as migrated:
        await faults.point("cell.migrate.before")
    await faults.point("cell.migrate.recorded")
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
