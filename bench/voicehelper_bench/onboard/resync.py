"""What a resync costs when nothing has changed: writes, transactions, and processor time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import asyncpg
from voicehelper_embedded.throwaway import Platform
from voicehelper_embedded.watched import Watched

from voicehelper_bench import memory
from voicehelper_bench.figures import Report

RESYNC_SECONDS = 30
"""As ``OperatorSettings.resync_seconds``."""
_ROUNDS = 4
_QUIET_SECONDS = 45
_ASIDE = ("resources.leases", "debezium", "sink", "analytics")
"""Heartbeats and other people's writes: the lease is renewed, and sinks go on, resync or not."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Counters of Postgres at a moment."""

    version: int
    """Of the resource store: every write of a resource raises it."""
    writes: dict[str, int]
    transactions: int
    wal: int


async def measure(report: Report, platform: Platform, watched: Watched, tenants: int) -> None:
    """Wait until all is quiet, then count over several resyncs."""
    await asyncio.sleep(_QUIET_SECONDS)
    sql = await asyncpg.connect(platform.postgres_dsn)
    try:
        pids = watched.pids()
        first, used = await _count(sql), {name: memory.processor_seconds(pid) for name, pid in pids.items()}
        await asyncio.sleep(RESYNC_SECONDS * _ROUNDS)
        last, now = await _count(sql), {name: memory.processor_seconds(pid) for name, pid in pids.items()}
    finally:
        await sql.close()
    changed = {table: count - first.writes.get(table, 0) for table, count in last.writes.items()}
    ours = {table: count for table, count in changed.items() if count and not table.startswith(_ASIDE)}
    report.note(f"rows written in {_ROUNDS} resyncs of {tenants} tenants: {ours or 'none'}")
    report.add("resync.writes", float(sum(ours.values())), "rows", runs=_ROUNDS)
    report.add("resync.versions", float(last.version - first.version), "writes of resources", runs=_ROUNDS)
    report.add("resync.transactions", (last.transactions - first.transactions) / _ROUNDS, "transactions", runs=_ROUNDS)
    report.add("resync.wal", (last.wal - first.wal) / _ROUNDS / 1024, "KiB", runs=_ROUNDS)
    for name in ("control-plane", "postgres", "kafka", "milvus", "router", "xds"):
        report.add(f"resync.cpu.{name}", (now[name] - used[name]) / _ROUNDS, "s", runs=_ROUNDS)
    cells = [name for name in pids if name.startswith("cell-")]
    report.add("resync.cpu.cells", sum(now[name] - used[name] for name in cells) / _ROUNDS, "s", runs=_ROUNDS)


async def _count(sql: asyncpg.Connection) -> Counted:
    await sql.execute("SELECT pg_stat_clear_snapshot()")
    rows = await sql.fetch(
        "SELECT schemaname || '.' || relname AS name, n_tup_ins + n_tup_upd + n_tup_del AS writes"
        " FROM pg_stat_user_tables"
    )
    return Counted(
        await sql.fetchval("SELECT last_value FROM resources.version"),
        {row["name"]: row["writes"] for row in rows},
        await sql.fetchval("SELECT sum(xact_commit + xact_rollback)::bigint FROM pg_stat_database"),
        await sql.fetchval("SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint"),
    )
