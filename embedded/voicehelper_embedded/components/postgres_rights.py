"""What Postgres lets everybody do by default, and cells may not: functions that reach beyond the caller's own rows.

All cells share one server. Without this a cell's login could hold the locks that the operator waits for, fill the
topic that Debezium makes of logical messages, keep large objects that no quota counts, and read how many rows and bytes
other cells' tables have and what other sessions wait for. What remains visible is the catalogue: names (which are made
of random ids) and the planner's estimates in ``pg_class``.
"""

from __future__ import annotations

from collections.abc import Iterable

import asyncpg

_LOCKS = "^pg_(try_)?advisory(_xact)?_lock(_shared)?$"
_MESSAGES = "^pg_logical_emit_message$"
_SLOTS = "^pg_get_replication_slots$"
_OTHERS = (
    _SLOTS,
    "^lo_(creat|create|from_bytea)$",
    "^pg_(relation|table|indexes|total_relation|database|tablespace)_size$",
    "^pg_relation_(filenode|filepath)$",
    "^pg_stat_get_",
    "^pg_(lock_status|blocking_pids|safe_snapshot_blocking_pids|show_replication_origin_status)$",
)
_REVOKE = """
DO $$ DECLARE f regprocedure; BEGIN
    FOR f IN SELECT oid::regprocedure FROM pg_proc p, aclexplode(COALESCE(proacl, acldefault('f', proowner))) a
        WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '{pattern}' AND a.grantee = 0
    LOOP EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f); END LOOP;
END $$
"""
_GRANT = """
DO $$ DECLARE f regprocedure; BEGIN
    FOR f IN SELECT oid::regprocedure FROM pg_proc
        WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '{pattern}'
        AND NOT has_function_privilege('{role}', oid, 'EXECUTE')
    LOOP EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO {role}', f); END LOOP;
END $$
"""


async def close_databases(connection: asyncpg.Connection) -> None:
    """Let nobody but superusers into the databases that come with the server. Writes nothing when that is so."""
    for database in ("postgres", "template1"):
        if await connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_database d, aclexplode(COALESCE(datacl, acldefault('d', datdba))) a"
            " WHERE datname = $1 AND a.grantee = 0)",
            database,
        ):
            await connection.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")


async def restrict(connection: asyncpg.Connection, *, lockers: Iterable[str], replicator: str) -> None:
    """Take the functions from everybody and give them to the platform's roles that need them.

    ``lockers`` take advisory locks; ``replicator`` writes logical messages (its heartbeat) and looks at its slot.
    """
    for pattern in (_LOCKS, _MESSAGES, *_OTHERS):
        await connection.execute(_REVOKE.format(pattern=pattern))
    for role in lockers:
        await connection.execute(_GRANT.format(pattern=_LOCKS, role=role))
    for pattern in (_MESSAGES, _SLOTS):
        await connection.execute(_GRANT.format(pattern=pattern, role=replicator))
