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
    actor: str = "operator",
    request_id: str = "",
    **details: Any,
) -> int:
    """Write a row; where no principal is, ``actor`` says who it was. Secrets are never among the details."""
    row: int = await connection.fetchval(
        "INSERT INTO identity.audit (actor, tenant_id, action, target, outcome, request_id, details)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
        who.user_id if who else actor,
        tenant_id,
        action,
        _storable(target),
        _storable(outcome),
        who.request_id if who else request_id,
        json.dumps(details, default=str, ensure_ascii=False).encode("utf-8", "replace").decode(),
    )
    return row


async def settle(connection: asyncpg.Connection | asyncpg.Pool, row: int, outcome: str) -> None:
    """Say how something ended that was recorded before it began."""
    await connection.execute("UPDATE identity.audit SET outcome = $2 WHERE id = $1", row, _storable(outcome))


def _storable(text: str) -> str:
    """What Postgres takes of somebody's text."""
    return text[:500].replace("\0", "\ufffd").encode("utf-8", "replace").decode()


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
