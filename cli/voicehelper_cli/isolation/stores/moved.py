"""What stores have of a tenant that was moved, in its old cell; a part of the attack ``moves.moved``."""

from __future__ import annotations

import asyncio

import asyncpg
from voicehelper_core import names
from voicehelper_core.milvus import MilvusClient

from voicehelper_cli.isolation.arena import Arena
from voicehelper_cli.isolation.attack import Recorder
from voicehelper_cli.isolation.model import FOREIGN_CELL, SAME_CELL, Attacker
from voicehelper_cli.isolation.party import Party
from voicehelper_cli.isolation.stores import sql_session as sql


async def of_others(arena: Arena, tried: Recorder, before: Party, after: Party) -> None:
    """The old cell's login: rows that wait for their clean-up, as the neighbour; the schemas of the new cell."""
    async with sql.session(arena, arena.neighbour) as connection:
        for service in names.SERVICES:
            for table in await sql.tables_of(connection, before.cell_id, service):
                async with sql.tenant(connection, before.cell_id, service, arena.neighbour.tenant_id):
                    query = f"SELECT count(*) FROM {table} WHERE tenant_id = '{before.tenant_id}'"
                    await _none(tried, connection, query, by=SAME_CELL, what="as the neighbour, in the grace")
        statement = f"SELECT * FROM {names.schema(after.cell_id, 'conversation')}.conversations"
        got = await sql.answer(connection, statement)
        sql.judge(tried, statement, got, finding="sql.schema", by=FOREIGN_CELL)


async def left(arena: Arena, tried: Recorder, mover: Party) -> None:
    """What the old cell has of the tenant after the clean-up: rows as the tenant itself, vectors, objects."""
    async with sql.session(arena, arena.neighbour) as connection:
        for service in names.SERVICES:
            for table in await sql.tables_of(connection, mover.cell_id, service):
                async with sql.tenant(connection, mover.cell_id, service, mover.tenant_id):
                    await _none(
                        tried, connection, f"SELECT count(*) FROM {table}", by=SAME_CELL, what="as the moved tenant"
                    )
    client = MilvusClient(arena.places.milvus_uri)
    try:
        partitions = await client.list_partitions(names.collection(mover.cell_id))
    finally:
        await client.close()
    tried.expect(
        mover.tenant_id not in partitions, "the partition of the moved tenant in the old cell", len(partitions),
        by=FOREIGN_CELL, finding="moves.left", reason="it is still there",
    )  # fmt: skip
    root = arena.places.objects_root
    if root is None or not arena.root:
        reason = "only root sees the objects of cells"
        tried.not_run("objects of the moved tenant in the old cell", by=SAME_CELL, finding="moves.left", reason=reason)
        return
    there = await asyncio.to_thread((root / mover.cell_id / mover.tenant_id).exists)
    what = "objects of the moved tenant in the old cell"
    tried.expect(not there, what, there, by=FOREIGN_CELL, finding="moves.left", reason="they are still there")


async def _none(tried: Recorder, connection: asyncpg.Connection, query: str, *, by: Attacker, what: str) -> None:
    got = await sql.answer(connection, query)
    assert not isinstance(got, asyncpg.PostgresError), got
    seen = got[0][0]
    reason = f"{seen} rows of the moved tenant were seen"
    tried.expect(seen == 0, f"{query} ({what})", sql.shown(got), by=by, finding="moves.left", reason=reason)
