"""Rows of the audit log."""

from __future__ import annotations

import json
from typing import Any

import asyncpg

from voicehelper_control_plane import pagination
from voicehelper_control_plane.principal import Principal


async def record(
    connection: asyncpg.Connection | asyncpg.Pool,
    who: Principal | None,
    action: str,
    target: str,
    *,
    tenant_id: str,
    outcome: str = "done",
    **details: Any,
) -> None:
    """Write a row; ``who`` is None for the operator. Secrets are never among the details."""
    await connection.execute(
        "INSERT INTO identity.audit (actor, tenant_id, action, target, outcome, request_id, details)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        who.user_id if who else "operator",
        tenant_id,
        action,
        target[:500],
        outcome[:500],
        who.request_id if who else "",
        json.dumps(details, default=str),
    )


async def listing(pool: asyncpg.Pool, who: Principal, limit: int, cursor: str) -> tuple[list[dict[str, Any]], str]:
    """Newest first: all rows for the platform's admins, a tenant's own for its admins."""
    who.require_admin_of(who.tenant_id)
    after = pagination.decode(cursor, 1)
    rows = await pool.fetch(
        "SELECT id, at, actor, tenant_id, action, target, outcome, request_id, details FROM identity.audit"
        " WHERE ($1::text IS NULL OR tenant_id = $1) AND ($2::bigint IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
        None if who.is_platform_admin else who.tenant_id,
        pagination.integer(after[0]) if after else None,
        limit + 1,
    )
    items = [{**dict(row), "details": json.loads(row["details"])} for row in rows[:limit]]
    return items, pagination.encode(items[-1]["id"]) if len(rows) > limit else ""
