"""SQL: what a cell's login may do with the server itself, and what it learns of others beside their rows."""

from __future__ import annotations

import asyncio

import asyncpg
from voicehelper_core import names

from voicehelper_cli.isolation.arena import Arena
from voicehelper_cli.isolation.attack import Recorder, attack
from voicehelper_cli.isolation.model import FOREIGN_CELL
from voicehelper_cli.isolation.stores import sql_session as sql

_SERVER = (
    "COPY (SELECT 1) TO PROGRAM 'id'",
    "COPY pg_catalog.pg_class TO '/tmp/stolen'",
    "COPY pg_catalog.pg_class FROM PROGRAM 'id'",
    "SELECT pg_read_file('postgresql.conf')",
    "SELECT pg_read_binary_file('base/1/1259')",
    "SELECT pg_ls_dir('.')",
    "SELECT pg_stat_file('postgresql.conf')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(1, '/tmp/stolen')",
    "SELECT loid, data FROM pg_largeobject",
    "SELECT * FROM pg_authid",
    "SELECT * FROM pg_shadow",
    "SELECT * FROM pg_hba_file_rules",
    "SELECT * FROM pg_user_mapping",
    "SELECT pg_reload_conf()",
    "SELECT pg_switch_wal()",
    "SELECT pg_rotate_logfile()",
    "SELECT pg_stat_reset()",
    "SELECT set_config('session_replication_role', 'replica', false)",
    "SELECT set_config('log_statement', 'all', false)",
    "LOAD 'auto_explain'",
    "CREATE LANGUAGE plpython3u",
    "CREATE EVENT TRIGGER stolen ON ddl_command_start EXECUTE FUNCTION pg_catalog.suppress_redundant_updates_trigger()",
    "CREATE PUBLICATION stolen",
    "ALTER PUBLICATION voicehelper SET (publish = '')",
    "DROP PUBLICATION voicehelper",
    "CREATE SCHEMA stolen",
    "CREATE TABLE public.stolen (a int)",
    "CREATE TEMP TABLE stolen (a int)",
    "CREATE FUNCTION pg_temp.stolen() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "SELECT pg_create_logical_replication_slot('stolen', 'pgoutput')",
    "SELECT pg_create_physical_replication_slot('stolen')",
    "SELECT * FROM pg_logical_slot_peek_binary_changes('voicehelper', NULL, NULL)",
    "SELECT pg_drop_replication_slot('voicehelper')",
    "SELECT pg_replication_slot_advance('voicehelper', '0/1')",
)
_ALONE = ("ALTER SYSTEM SET log_statement = 'all'", "CREATE DATABASE stolen", "VACUUM FULL pg_authid")
_EXTENSIONS = ("dblink", "postgres_fdw", "file_fdw", "pg_stat_statements", "pg_walinspect", "adminpack", "hstore")
_LOCKS = (
    "SELECT pg_advisory_lock(hashtext('voicehelper.publication'))",
    "SELECT pg_try_advisory_lock(hashtext('voicehelper.publication'))",
    "SELECT pg_advisory_xact_lock(512970302309)",
    "SELECT pg_advisory_lock_shared(hashtext('{cell}_conversation_owner.migrate'))",
)
_OTHERS = (
    ("SELECT query FROM pg_stat_activity", "sql.sessions"),
    ("SELECT * FROM pg_locks", "sql.sessions"),
    ("SELECT * FROM pg_stat_replication", "sql.sessions"),
    ("SELECT * FROM pg_replication_slots", "sql.sessions"),
    ("SELECT relname, n_live_tup, n_tup_ins FROM pg_stat_all_tables", "sql.sizes"),
    ("SELECT relname, seq_tup_read FROM pg_stat_all_tables", "sql.sizes"),
    ("SELECT relname, heap_blks_read FROM pg_statio_all_tables", "sql.sizes"),
    ("SELECT pg_total_relation_size({table})", "sql.sizes"),
    ("SELECT pg_relation_size({table})", "sql.sizes"),
    ("SELECT pg_relation_filepath({table})", "sql.sizes"),
    ("SELECT pg_database_size(current_database())", "sql.sizes"),
    ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity", "sql.sessions"),
    ("SELECT pg_logical_emit_message(true, 'stolen', 'x')", "sql.messages"),
    ("SELECT lo_from_bytea(0, 'x')", "sql.large-objects"),
    ("SELECT lo_create(0)", "sql.large-objects"),
)


@attack("sql.server", surface="postgres", needs=("stranger",))
async def server(arena: Arena, tried: Recorder) -> None:
    """Files, programs, extensions, large objects, settings, replication, publications as another cell's login."""
    also = (asyncpg.FeatureNotSupportedError, asyncpg.UndefinedTableError)
    async with sql.session(arena, arena.stranger) as connection:
        for statement in _SERVER:
            sql.judge(tried, statement, await sql.answer(connection, statement), finding="sql.server", also=also)
        for statement in _ALONE:
            got = await sql.alone(connection, statement)
            if statement.startswith("VACUUM") and not isinstance(got, asyncpg.PostgresError):
                continue  # Postgres skips what is not one's own, with a warning
            sql.judge(tried, statement, got, finding="sql.server")
        for extension in _EXTENSIONS:
            statement = f"CREATE EXTENSION {extension} SCHEMA pg_catalog"
            got = await sql.answer(connection, statement)
            sql.judge(tried, statement, got, finding="sql.server", also=also)


@attack("sql.others", surface="postgres", needs=("stranger",))
async def others(arena: Arena, tried: Recorder) -> None:
    """Sessions, locks, sizes, row counts, logical messages and the platform's locks, as another cell's login."""
    table = f"'{names.schema(arena.victim.cell_id, 'conversation')}.messages'::regclass"
    async with sql.session(arena, arena.stranger) as connection:
        oid = await connection.fetchval(
            "SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE nspname = $1 AND relname = 'messages'",
            names.schema(arena.victim.cell_id, "conversation"),
        )
        for statement, finding in _OTHERS:
            text = statement.format(table=oid)
            what = statement.format(table=table)
            reason = "it tells of other cells or reaches them"
            sql.judge(tried, what, await sql.answer(connection, text), finding=finding, reason=reason)
        for statement in _LOCKS:
            text = statement.format(cell=arena.victim.cell_id)
            reason = "a lock that the platform or another cell waits for can be held by anybody"
            sql.judge(tried, text, await sql.answer(connection, text), finding="sql.locks", reason=reason)


@attack("sql.catalogue", surface="postgres", needs=("stranger",))
async def catalogue(arena: Arena, tried: Recorder) -> None:
    """What Postgres shows to every login: names, comments, estimates, channels."""
    async with sql.session(arena, arena.stranger) as connection:
        rows = []
        for query in (
            "SELECT nspname::text FROM pg_namespace",
            "SELECT rolname::text FROM pg_roles",
            "SELECT relname::text FROM pg_class",
            "SELECT attname::text FROM pg_attribute WHERE attrelid > 16000",
            "SELECT prosrc FROM pg_proc WHERE oid > 16000",
            "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef",
            "SELECT pg_get_expr(polqual, polrelid) FROM pg_policy",
            "SELECT description FROM pg_description WHERE objoid > 16000",
            "SELECT description FROM pg_shdescription",
            "SELECT schemaname || tablename || attnames::text FROM pg_publication_tables",
            "SELECT array_to_string(setconfig, ' ') FROM pg_db_role_setting",
            "SELECT name || setting FROM pg_settings",
            "SELECT oid::text FROM pg_largeobject_metadata",
        ):
            got = await sql.answer(connection, query)
            if isinstance(got, asyncpg.PostgresError):
                raise AssertionError(f"{query}: {got}")
            rows += [str(row[0]) for row in got]
        named = arena.victim.name in "\n".join(rows)
        what = "names, comments, bodies of functions, settings in the catalogue"
        if named or arena.canaries.seen(rows):
            reason = "the catalogue names a tenant or holds contents"
            tried.leaked(what, rows, by=FOREIGN_CELL, finding="sql.catalogue", reason=reason)
        else:
            cells = sorted({name[:12] for name in rows if name.endswith("_conversation") and len(name) == 25})
            reason = (
                "PostgreSQL shows every name of a database to every login; here names are made of random ids and tell"
                " how many cells there are, nothing of tenants"
            )
            answer = f"{len(rows)} names, {len(cells)} cells, no name or id of a tenant"
            tried.not_isolated(what, answer, by=FOREIGN_CELL, finding="sql.catalogue", reason=reason)
        published = await connection.fetch(
            "SELECT schemaname, tablename, attnames::text[] FROM pg_publication_tables WHERE tablename <> 'outbox'"
            " AND attnames && ARRAY['content', 'citations', 'text', 'title', 'external_id', 'events']::name[]"
        )
        what, reason = "columns of the publication", "contents leave Postgres as rows; only Debezium's list keeps them"
        if published:
            tried.weakened(what, sql.shown(published), by=FOREIGN_CELL, finding="sql.publication", reason=reason)
        else:
            tried.held(what, "no contents", by=FOREIGN_CELL, finding="sql.publication")
        estimates = await sql.answer(
            connection,
            "SELECT reltuples, relpages FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname = $1 AND relname = 'messages'",
            names.schema(arena.victim.cell_id, "conversation"),
        )
        reason = (
            "PostgreSQL keeps the planner's estimates in pg_class, readable for every login: about how many rows a"
            " table of another cell has, never whose; a dedicated server (spec.stores) ends that"
        )
        tried.not_isolated(
            "reltuples and relpages of the victim's tables in pg_class", sql.shown(estimates), by=FOREIGN_CELL,
            finding="sql.catalogue", reason=reason,
        )  # fmt: skip
        await _channels(arena, tried, connection)


async def _channels(arena: Arena, tried: Recorder, connection: asyncpg.Connection) -> None:
    """Every login may listen to every channel: what is said there must be nothing."""
    heard: list[tuple[str, str]] = []

    def hear(_: object, __: int, channel: str, payload: object) -> None:
        heard.append((channel, str(payload)))

    channels = (f"placement_{arena.victim.cell_id}", "resources")
    for channel in channels:
        await connection.add_listener(channel, hear)
    await connection.execute(f"NOTIFY {channels[0]}")
    for _ in range(20):
        await asyncio.sleep(0.1)
    for channel in channels:
        await connection.remove_listener(channel, hear)
    what = f"LISTEN and NOTIFY on {' and '.join(channels)}"
    if any(payload for _, payload in heard):
        tried.leaked(what, heard, by=FOREIGN_CELL, finding="sql.channels", reason="notifications carry something")
        return
    reason = (
        "PostgreSQL has no rights on channels; notifications are empty and only make the listener look again:"
        " others learn that something changed, and can make a listener look in vain"
    )
    tried.not_isolated(what, f"{len(heard)} empty ones", by=FOREIGN_CELL, finding="sql.channels", reason=reason)
