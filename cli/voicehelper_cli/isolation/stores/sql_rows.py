"""SQL: what the cell's own login sees as another tenant, as a query without a tenant filter would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from voicehelper_core import names

from voicehelper_cli.isolation.arena import Arena
from voicehelper_cli.isolation.attack import Recorder, attack
from voicehelper_cli.isolation.model import SAME_CELL
from voicehelper_cli.isolation.stores import sql_session as sql

_TENANTS = (
    "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'"
    " WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> 'outbox' ORDER BY 1"
)


@asynccontextmanager
async def tenant(
    connection: asyncpg.Connection, cell_id: str, service: str, tenant_id: str | None
) -> AsyncIterator[None]:
    """As the workload's database sessions are: the service's role and the tenant, to the end of a transaction."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        role, schema = names.service_role(cell_id, service), names.schema(cell_id, service)
        await connection.execute(f"SET LOCAL ROLE {role}; SET LOCAL search_path = {schema}")
        if tenant_id is not None:
            await connection.execute("SELECT set_config('app.tenant_id', $1, true)", tenant_id)
        yield
    finally:
        await transaction.rollback()


@attack("sql.rls", surface="postgres")
async def rls(arena: Arena, tried: Recorder) -> None:
    """Every table of the cell without a filter, as another tenant, as nobody, with row security off."""
    cell, victim, other = arena.victim.cell_id, arena.victim.tenant_id, arena.neighbour.tenant_id
    async with sql.session(arena, arena.neighbour) as connection:
        for service in names.SERVICES:
            tables = [row[0] for row in await connection.fetch(_TENANTS, names.schema(cell, service))]
            await _settings(connection, tried, names.schema(cell, service))
            for table in tables:
                async with tenant(connection, cell, service, victim):
                    planted = await connection.fetchval(f"SELECT count(*) FROM {table}")
                for who in (other, "", None):
                    as_whom = {None: "without app.tenant_id", "": "with an empty app.tenant_id"}.get(
                        who, "as neighbour"
                    )
                    async with tenant(connection, cell, service, who):
                        finding = f"sql.rls.{table}"
                        for query, sees in (
                            (f"SELECT t::text, tenant_id FROM {table} t", None),
                            (f"SELECT count(*) FROM {table} WHERE tenant_id = '{victim}'", 0),
                        ):
                            got = await sql.answer(connection, query)
                            assert not isinstance(got, asyncpg.PostgresError), got
                            # One's own rows may hold what earlier attacks said to the victim's cell.
                            others = [row for row in got if sees == 0 or row["tenant_id"] != who]
                            seen = others[0][0] if sees == 0 else len(others)
                            tried.expect(
                                seen == 0,
                                f"{query} ({as_whom}; the victim has {planted} rows)",
                                sql.shown(others),
                                by=SAME_CELL,
                                finding=finding,
                                reason=f"{seen} rows of others were seen",
                            )
                async with tenant(connection, cell, service, other):
                    for statement in (
                        f"SELECT set_config('row_security', 'off', true) FROM {table} WHERE tenant_id = '{victim}'",
                        f"UPDATE {table} SET tenant_id = '{victim}'",
                        f"DELETE FROM {table} WHERE tenant_id = '{victim}' RETURNING 1",
                        f"TRUNCATE {table} CASCADE",
                    ):
                        await _nothing(connection, tried, statement, f"sql.rls.{table}")
                    await connection.execute("SET LOCAL row_security = off")
                    await _nothing(
                        connection, tried, f"SELECT * FROM {table}", f"sql.rls.{table}", "row_security off; "
                    )


async def _settings(connection: asyncpg.Connection, tried: Recorder, schema: str) -> None:
    """Guards that only show when another one fails: forced row security, exactly one policy."""
    rows = await connection.fetch(
        "SELECT c.relname, relrowsecurity AND relforcerowsecurity AS forced,"
        " (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid) AS policies"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'"
        " WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p')",
        schema,
    )
    for finding, reason, bad in (
        ("sql.rls.forced", "row-level security is off, or not for the owner", [r for r in rows if not r["forced"]]),
        ("sql.rls.policy", "not exactly one policy", [r for r in rows if r["policies"] != 1]),
    ):
        what = f"settings of row-level security of the {len(rows)} tables of {schema}"
        if bad:
            tried.weakened(what, sql.shown(bad), by=SAME_CELL, finding=finding, reason=reason)
        else:
            tried.held(what, "as they should be", by=SAME_CELL, finding=finding)


async def _nothing(
    connection: asyncpg.Connection, tried: Recorder, statement: str, finding: str, before: str = ""
) -> None:
    """No row, or a refusal."""
    got = await sql.answer(connection, statement)
    if isinstance(got, sql.DENIED):
        tried.judge(before + statement, got, by=SAME_CELL, finding=finding, sent=statement)
    elif isinstance(got, asyncpg.IntegrityConstraintViolationError):  # it got as far as the victim's rows
        tried.leaked(before + statement, got, by=SAME_CELL, finding=finding, reason="rows were touched")
    elif isinstance(got, asyncpg.PostgresError):
        raise AssertionError(f"{statement}: {got}")
    else:
        tried.expect(
            not got, before + statement, sql.shown(got), by=SAME_CELL, finding=finding, reason="rows were touched"
        )


@attack("sql.rows-of-others", surface="postgres")
async def rows_of_others(arena: Arena, tried: Recorder) -> None:
    """Rows for the victim, and rows of one's own that hang on the victim's (references pass by row security)."""
    cell, victim, other = arena.victim.cell_id, arena.victim.tenant_id, arena.neighbour.tenant_id
    conversation, document = arena.facts["conversation_id"], arena.facts["document_id"]
    values = "gen_random_uuid(), '{tenant}', '{conversation}', 'mallory', 900, 'user', 'completed'"
    message = (
        f"INSERT INTO messages (id, tenant_id, conversation_id, user_id, sequence, role, status) VALUES ({values})"
    )
    event = (
        "INSERT INTO message_events (tenant_id, message_id, id, type, events)"
        " VALUES ('{tenant}', '{message}', 900, 'x', '[]')"
    )
    chunk = (
        "INSERT INTO chunks (id, tenant_id, document_id, revision, ordinal, start_offset, end_offset, text, term_count)"
        " VALUES (gen_random_uuid(), '{tenant}', '{document}', 1, 900, 0, 1, 'x', 1)"
    )
    facts = {"conversation": conversation, "document": document, "message": arena.facts["message_id"]}
    async with sql.session(arena, arena.neighbour) as connection:
        for service, statement in (("conversation", message), ("conversation", event), ("knowledge", chunk)):
            async with tenant(connection, cell, service, other):
                mine = statement.format(tenant=victim, **facts)
                got = await sql.answer(connection, mine)
                sql.judge(
                    tried, mine, got, finding="sql.rows.write", by=SAME_CELL, reason="a row of the victim was made"
                )
                hung = statement.format(tenant=other, **facts)
                got = await sql.answer(connection, hung)
                reason = "a row of another tenant hangs on the victim's: the reference does not compare the tenants"
                key = (asyncpg.ForeignKeyViolationError,)
                sql.judge(tried, hung, got, finding="sql.rows.reference", by=SAME_CELL, also=key, reason=reason)
        for service in names.SERVICES:
            async with tenant(connection, cell, service, other):
                for statement, finding in (
                    ("SELECT * FROM outbox", "sql.outbox"),
                    ("UPDATE outbox SET topic = 'x'", "sql.outbox"),
                    ("DELETE FROM outbox", "sql.outbox"),
                    ("ALTER TABLE outbox DISABLE TRIGGER ALL", "sql.outbox"),
                    ("CREATE TRIGGER stolen BEFORE INSERT ON outbox EXECUTE FUNCTION outbox_topic()", "sql.outbox"),
                    (_event(victim), "sql.outbox"),
                    ("SELECT * FROM alembic_version", "sql.grants"),
                    ("UPDATE alembic_version SET version_num = 'x'", "sql.grants"),
                ):
                    sql.judge(tried, statement, await sql.answer(connection, statement), finding=finding, by=SAME_CELL)


def _event(tenant_id: str, kind: str = "conversation", *, topic: str = "", payload: str = "") -> str:
    payload = payload or json.dumps({"tenant_id": tenant_id})
    return (
        "INSERT INTO outbox (id, topic, aggregatetype, aggregateid, type, tenant_id, payload)"
        f" VALUES (gen_random_uuid(), '{topic}', '{kind}', 'x', 'x', '{tenant_id}',"
        f" convert_to($e${payload}$e$, 'UTF8'))"
    )


@attack("sql.outbox-topic", surface="postgres", needs=("stranger",))
async def outbox_topic(arena: Arena, tried: Recorder) -> None:
    """A row in one's own outbox that names the victim's topic."""
    cell, stranger = arena.stranger.cell_id, arena.stranger.tenant_id
    async with sql.session(arena, arena.stranger) as connection:
        for service, name in (("conversation", "conversation"), ("knowledge", "document")):
            topic = names.topic(arena.victim.cell_id, f"{name}.events")
            async with tenant(connection, cell, service, stranger):
                statement = _event(stranger, name, topic=topic)
                # The row itself cannot be read back by the workload; the statement's own RETURNING needs that right.
                got = await sql.answer(connection, f"{statement} RETURNING topic")
                if isinstance(got, sql.DENIED):
                    guard = await connection.fetchrow(
                        "SELECT tgenabled, pg_get_functiondef(tgfoid) AS body, r.rolname AS owner FROM pg_trigger t"
                        " JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_roles r ON r.oid = p.proowner"
                        " WHERE tgrelid = $1::regclass AND NOT tgisinternal AND (tgtype & 7) = 7",
                        f"{names.schema(cell, service)}.outbox",
                    )
                    expected = names.topic(cell, f"{name}.events")
                    holds = guard is not None and guard["tgenabled"] in (b"O", b"A") and expected in guard["body"]
                    holds = holds and guard["owner"] == names.owner_role(cell, service)
                    shown = str(dict(guard)) if guard else "no trigger before the insert"
                else:
                    holds, shown = not isinstance(got, asyncpg.PostgresError) and got[0][0] != topic, sql.shown(got)
                reason = f"nothing sets the topic of a row: events would come out in {topic}"
                tried.expect(
                    holds, statement, shown, by=SAME_CELL, finding="sql.outbox.topic", reason=reason, sent=statement
                )


@attack("sql.outbox-tenant", surface="postgres", needs=("stranger",))
async def outbox_tenant(arena: Arena, tried: Recorder) -> None:
    """Events of the victim, such as usage that it would be charged for, by another cell's outbox."""
    cell, stranger, victim = arena.stranger.cell_id, arena.stranger.tenant_id, arena.victim.tenant_id
    forged = f'"tenant_id": "{victim}"'
    async with sql.session(arena, arena.stranger) as connection:
        for service, name in (("conversation", "conversation"), ("knowledge", "document")):
            for claimed, payload in (
                (victim, f"{{{forged}}}"),
                (stranger, f"{{{forged}}}"),
                (stranger, f'{{"tenant_id": "{stranger}", {forged}}}'),
                (stranger, f'{{"tenant_id": "{stranger}", "tenant\\u005fid": "{victim}"}}'),
                (stranger, "{}"),
            ):
                async with tenant(connection, cell, service, claimed):
                    statement = _event(claimed, name, payload=payload)
                    got = await sql.answer(connection, statement)
                    reason = "an event of a tenant of another cell was taken"
                    sql.judge(tried, statement, got, finding="sql.outbox.tenant", reason=reason)


@attack("sql.cached-plan", surface="postgres")
async def cached_plan(arena: Arena, tried: Recorder) -> None:
    """A plan made as the victim and run as another (CVE-2024-10976); a query cut off in the middle."""
    cell, victim, other = arena.victim.cell_id, arena.victim.tenant_id, arena.neighbour.tenant_id
    queries = (
        "SELECT * FROM messages",
        "WITH m AS (SELECT * FROM messages) SELECT * FROM m",
        "SELECT * FROM conversations c WHERE EXISTS (SELECT FROM messages m WHERE m.conversation_id = c.id)",
        "SELECT (SELECT string_agg(content, ' ') FROM messages)",
    )
    async with sql.session(arena, arena.neighbour) as connection:
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        for query in queries:
            async with tenant(connection, cell, "conversation", victim):
                prepared = await connection.prepare(query)
                for _ in range(6):
                    rows = await prepared.fetch()
                if not arena.canaries.seen(rows):
                    raise AssertionError(f"{query} does not see the victim's own rows")
                await connection.execute(f"SET LOCAL app.tenant_id = '{other}'")
                got = await prepared.fetch()
                what = f"{query} prepared as the victim, run as the neighbour"
                tried.judge(what, sql.shown(got), by=SAME_CELL, finding="sql.cached-plan")
            for service in (None, "knowledge"):
                async with tenant(connection, cell, "knowledge", other):
                    if service is None:
                        await connection.execute("RESET ROLE")
                    what = f"{query} prepared as the victim, run as {service or 'the login'}"
                    try:
                        tried.judge(what, await prepared.fetch(), by=SAME_CELL, finding="sql.cached-plan")
                    except asyncpg.PostgresError as error:
                        tried.judge(what, error, by=SAME_CELL, finding="sql.cached-plan")
                        break
        async with tenant(connection, cell, "conversation", victim):
            slow = asyncio.create_task(connection.fetch("SELECT content, pg_sleep(0.5) FROM messages"))
            await asyncio.sleep(0.1)
            slow.cancel()
            await asyncio.gather(slow, return_exceptions=True)
        async with tenant(connection, cell, "conversation", other):
            got = await sql.answer(connection, "SELECT content, current_setting('app.tenant_id') FROM messages")
            what = "the next query on a connection whose query as the victim was cancelled"
            tried.judge(what, sql.shown(got), by=SAME_CELL, finding="sql.cached-plan")
        left = await connection.fetchval("SELECT current_setting('app.tenant_id', true)")
        what, reason = "app.tenant_id after a transaction", "the tenant outlives its transaction"
        tried.expect(not left, what, repr(left), by=SAME_CELL, finding="sql.cached-plan", reason=reason)


@attack("sql.statistics", surface="postgres")
async def statistics(arena: Arena, tried: Recorder) -> None:
    """pg_stats, extended statistics, EXPLAIN and operators that leak (CVE-2025-8713), after ANALYZE."""
    cell, other = arena.victim.cell_id, arena.neighbour.tenant_id
    await _analyze(arena)
    async with sql.session(arena, arena.neighbour) as connection:
        async with tenant(connection, cell, "conversation", other):
            for query in (
                "SELECT tablename, attname, most_common_vals::text, histogram_bounds::text FROM pg_stats"
                " WHERE schemaname LIKE '%\\_conversation' OR schemaname LIKE '%\\_knowledge'",
                "SELECT most_common_vals::text FROM pg_stats_ext",
                "SELECT stavalues1::text FROM pg_statistic",
                "SELECT stxdmcv::text FROM pg_statistic_ext_data",
                "SELECT query FROM pg_stat_statements",
            ):
                got = await sql.answer(connection, query)
                tried.judge(query, sql.shown(got), by=SAME_CELL, finding="sql.statistics")
            for statement in (
                "CREATE FUNCTION pg_temp.leak(text, text) RETURNS boolean LANGUAGE sql COST 0.1 AS 'SELECT true'",
                "CREATE FUNCTION leak(text, text) RETURNS boolean LANGUAGE sql COST 0.1 AS 'SELECT true'",
                "CREATE OPERATOR === (FUNCTION = texteq, LEFTARG = text, RIGHTARG = text, RESTRICT = eqsel)",
                "CREATE TEMP VIEW v AS SELECT * FROM messages",
                "CREATE TEMP TABLE t AS SELECT * FROM messages",
            ):
                got = await sql.answer(connection, statement)
                also = (asyncpg.InsufficientPrivilegeError,)
                sql.judge(tried, statement, got, finding="sql.statistics", by=SAME_CELL, also=also)
            known, unknown = [
                (await _estimate(connection, identifier)) for identifier in (arena.victim.tenant_id, "nobody000000")
            ]
        what = "EXPLAIN SELECT * FROM messages WHERE tenant_id = the victim's, and one that does not exist"
        answer = f"{known} and {unknown} rows estimated"
        if known == unknown:
            tried.held(what, answer, by=SAME_CELL, finding="sql.estimates")
        else:
            reason = (
                "PostgreSQL plans with statistics of all rows: whoever may run any SQL as the workload (no API does)"
                " learns about how many rows a tenant id has that it already knows"
            )
            tried.not_isolated(what, answer, by=SAME_CELL, finding="sql.estimates", reason=reason)
        version = int(await connection.fetchval("SELECT current_setting('server_version_num')"))
    fixed = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}.get(version // 10000, 0)
    tried.expect(
        version % 10000 >= fixed, "the server's version against CVE-2025-8713 and CVE-2024-10976", str(version),
        by=SAME_CELL, finding="sql.version", reason=f"at least {version // 10000}.{fixed} is needed",
    )  # fmt: skip


async def _estimate(connection: asyncpg.Connection, tenant_id: str) -> int:
    plan = await connection.fetchval(f"EXPLAIN (FORMAT JSON) SELECT * FROM messages WHERE tenant_id = '{tenant_id}'")
    return int(json.loads(plan)[0]["Plan"]["Plan Rows"])


async def _analyze(arena: Arena) -> None:
    """As autovacuum does."""
    platform = await arena.home.secret("platform") or {}
    host, port = arena.places.postgres.rsplit(":", 1)
    connection = await asyncpg.connect(
        host=host, port=int(port), user="postgres", password=platform["postgres_password"],
        database=arena.places.postgres_database, timeout=15,
    )  # fmt: skip
    try:
        for service in names.SERVICES:
            schema = names.schema(arena.victim.cell_id, service)
            tables = [row[0] for row in await connection.fetch(_TENANTS, schema)]
            await connection.execute("; ".join(f"ANALYZE {schema}.{table}" for table in tables))
    finally:
        await connection.close()
