"""What the tenant has: conversations with messages, and passages with their vectors."""

from __future__ import annotations

import json
from typing import Any

from voicehelper_core import names
from voicehelper_core.context import TenantContext
from voicehelper_embedded.throwaway import Platform

from voicehelper_bench.figures import Report
from voicehelper_bench.retrieval import load
from voicehelper_bench.retrieval.speed import maker_of
from voicehelper_bench.retrieval.world import opened, stored
from voicehelper_bench.site import postgres

IN_CONVERSATION = 100
_TITLE = "of the benchmark"
_MADE = (
    "INSERT INTO {schema}.conversations (tenant_id, user_id, title, mode, next_sequence)"
    " SELECT $1, 'bench', $2, 'chat', $3 + 1 FROM generate_series(1, $4)",
    "INSERT INTO {schema}.messages (tenant_id, conversation_id, user_id, sequence, role, content, status)"
    " SELECT tenant_id, id, 'bench', number, (ARRAY['user', 'assistant'])[1 + number % 2],"
    " repeat(md5(id::text || number::text), 12), 'completed'"
    " FROM {schema}.conversations, generate_series(1, $3) AS number WHERE tenant_id = $1 AND title = $2",
)
_DIGEST = (
    "SELECT count(*), sum(hashtextextended(m::text, 0)) FROM {schema}.messages m WHERE tenant_id = $1"
    " AND conversation_id IN (SELECT id FROM {schema}.conversations WHERE tenant_id = $1 AND title = $2)"
)


async def fill(report: Report, platform: Platform, tenant: str, *, messages: int, passages: int) -> None:
    """Put so many there; a multiple of ``IN_CONVERSATION`` messages. Raises TimeoutError where vectors stay away."""
    async with opened(platform, [tenant]) as world:
        who = world.who[tenant]
        await load.load(world, who, (await maker_of(world)).corpus(passages))
        schema = names.schema(who.cell_id, "conversation")
        async with postgres(platform) as connection:
            first, second = (statement.format(schema=schema) for statement in _MADE)
            conversations = messages // IN_CONVERSATION
            await connection.execute(first, who.tenant_id, _TITLE, IN_CONVERSATION, conversations, timeout=600)
            await connection.execute(second, who.tenant_id, _TITLE, IN_CONVERSATION, timeout=600)
            await connection.execute(f"VACUUM ANALYZE {schema}.messages", timeout=600)
        await load.vectors_are_there(world, {tenant: passages}, report.note)
        await load.tidy(platform, world)
        await load.calm(report.note)


async def digest(platform: Platform, who: TenantContext) -> tuple[int, Any]:
    """Number and checksum of the messages that were put there, in the cell of the context."""
    async with postgres(platform) as connection:
        query = _DIGEST.format(schema=names.schema(who.cell_id, "conversation"))
        row = await connection.fetchrow(query, who.tenant_id, _TITLE, timeout=600)
        return (int(row[0]), row[1])


async def copied(platform: Platform, who: TenantContext) -> float:
    """Milliseconds that Postgres takes to copy the tenant's messages from one table into another."""
    table = f"{names.schema(who.cell_id, 'conversation')}.messages"
    async with postgres(platform) as connection, connection.transaction():
        await connection.execute(f"CREATE TABLE bench_copy (LIKE {table} INCLUDING ALL)")
        statement = f"EXPLAIN (ANALYZE, FORMAT JSON) INSERT INTO bench_copy SELECT * FROM {table} WHERE tenant_id = $1"
        told = await connection.fetchval(statement, who.tenant_id, timeout=600)
        await connection.execute("DROP TABLE bench_copy")
    (plan,) = json.loads(told)
    return float(plan["Execution Time"])


async def vectors(platform: Platform, who: TenantContext) -> int:
    """How many the tenant has in the cell of the context."""
    found = stored(platform, who.cell_id)
    try:
        return await found.count(who)
    finally:
        await found.close()
