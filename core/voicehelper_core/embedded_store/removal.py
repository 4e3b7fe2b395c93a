"""How resources go: asked for first, kept while finalizers stand, with what they own."""

from __future__ import annotations

import json
from typing import Any

from voicehelper_core.embedded_store import rows
from voicehelper_core.resource_rules import protection

_KEEP_TOMBSTONES = "1 hour"


async def ask(connection: Any, row: Any) -> None:
    """Set ``deletionTimestamp`` on the resource; without a finalizer it goes at once.

    What it owns is asked for when it is gone, as Kubernetes does; a controller that has to wait for that asks itself.
    Raises PermissionDenied where the resource, or something that it owns, is protected.
    """
    await _refuse_protected(connection, row)
    if row["deletion_timestamp"]:
        return
    if not row["finalizers"]:
        await remove(connection, row)
        return
    await connection.execute(
        "UPDATE resources.objects SET deletion_timestamp = now(), resource_version = nextval('resources.version')"
        " WHERE kind = $1 AND name = $2",
        row["kind"],
        row["name"],
    )


async def remove(connection: Any, row: Any) -> None:
    """Take the row away, leave a tombstone for watchers, and ask for what it owned."""
    await connection.execute("DELETE FROM resources.objects WHERE kind = $1 AND name = $2", row["kind"], row["name"])
    version = await connection.fetchval("SELECT nextval('resources.version')")
    last = rows.document(row)
    last["metadata"]["resourceVersion"] = str(version)
    await connection.execute(
        "INSERT INTO resources.tombstones (resource_version, kind, name, last) VALUES ($1, $2, $3, $4)",
        version,
        row["kind"],
        row["name"],
        rows.to_json(last),
    )
    await connection.execute(
        f"WITH gone AS (DELETE FROM resources.tombstones WHERE removed_at < now() - interval '{_KEEP_TOMBSTONES}'"  # noqa: S608
        " RETURNING resource_version) UPDATE resources.horizon"
        " SET version = greatest(version, (SELECT max(resource_version) FROM gone))"
        " WHERE EXISTS (SELECT 1 FROM gone)"
    )
    for dependant in await _dependants(connection, row):
        await ask(connection, dependant)


async def _dependants(connection: Any, owner: Any) -> list[Any]:
    """What only ``owner`` keeps: resources with another living owner stay."""
    found = await connection.fetch(
        "SELECT * FROM resources.objects WHERE owner_references @> $1::jsonb AND uid <> $2 ORDER BY kind, name",
        rows.owner_filter(owner["uid"]),
        owner["uid"],
    )
    alone = []
    for row in found:
        others = [item["uid"] for item in json.loads(row["owner_references"]) if item["uid"] != str(owner["uid"])]
        living = await connection.fetchval(
            "SELECT count(*) FROM resources.objects WHERE uid::text = ANY($1) AND deletion_timestamp IS NULL", others
        )
        if not living:
            alone.append(row)
    return alone


async def _refuse_protected(connection: Any, row: Any) -> None:
    if json.loads(row["spec"]).get("deletion", {}).get("protect"):
        raise protection(row["kind"], row["name"])
    for dependant in await _dependants(connection, row):
        await _refuse_protected(connection, dependant)
