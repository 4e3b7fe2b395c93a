"""SQL: can another cell's login reach the victim's schemas, roles and other databases?"""

from __future__ import annotations

import asyncpg
from voicehelper_core import cell_bundle, names

from voicehelper_cli.isolation.arena import Arena
from voicehelper_cli.isolation.attack import Recorder, attack
from voicehelper_cli.isolation.model import FOREIGN_CELL, NOBODY, Attacker
from voicehelper_cli.isolation.stores import sql_session as sql

_TABLES = """
    SELECT n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p')
    AND (n.nspname LIKE $1 || '\\_%' OR n.nspname IN ('resources', 'identity', 'analytics'))
    ORDER BY 1"""
_STATEMENTS = (
    "SELECT * FROM {table}",
    "SELECT count(*) FROM {table}",
    "EXPLAIN SELECT * FROM {table}",
    "INSERT INTO {table} DEFAULT VALUES",
    "DELETE FROM {table}",
    "TRUNCATE {table} CASCADE",
    "LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE",
    "ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
    "CREATE TRIGGER stolen AFTER INSERT ON {table} EXECUTE FUNCTION pg_catalog.suppress_redundant_updates_trigger()",
    "CREATE POLICY stolen ON {table} USING (true)",
    "DROP TABLE {table} CASCADE",
)


@attack("sql.schemas", surface="postgres", needs=("stranger",))
async def schemas(arena: Arena, tried: Recorder) -> None:
    """Every table of the victim's cell and of the control plane, read, written, altered, as another cell's login."""
    cell = arena.victim.cell_id
    async with sql.session(arena, arena.stranger) as connection:
        tables = [row["name"] for row in await connection.fetch(_TABLES, cell)]
        if not any(name.endswith("_conversation.messages") for name in tables):
            raise AssertionError(f"the victim's tables are not in the catalogue: {tables}")
        for table in tables:
            for pattern in _STATEMENTS if table.endswith((".messages", ".outbox", ".documents")) else _STATEMENTS[:3]:
                statement = pattern.format(table=table)
                owner = (asyncpg.InsufficientPrivilegeError,)
                sql.judge(tried, statement, await sql.answer(connection, statement), finding="sql.schema", also=owner)
        schema = names.schema(cell, "conversation")
        for statement in (
            f"CREATE TABLE {schema}.stolen (a int)",
            f"CREATE FUNCTION {schema}.stolen() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            f"SELECT {schema}.outbox_topic()",
            f"DROP SCHEMA {schema} CASCADE",
            f"ALTER SCHEMA {schema} OWNER TO {names.login_role(arena.stranger.cell_id, arena.stranger.account)}",
        ):
            sql.judge(tried, statement, await sql.answer(connection, statement), finding="sql.schema")
        for statement in (f"COPY {schema}.messages TO STDOUT", f"COPY {schema}.messages FROM STDIN"):
            sql.judge(tried, statement, await sql.alone(connection, statement), finding="sql.schema")


@attack("sql.search-path", surface="postgres", needs=("stranger",))
async def search_path(arena: Arena, tried: Recorder) -> None:
    """``search_path`` in the start-up message (CVE-2025-12819), by SET and by ALTER ROLE."""
    path = ", ".join(names.schema(arena.victim.cell_id, service) for service in names.SERVICES)
    read = "SELECT * FROM messages"
    gone = (asyncpg.UndefinedTableError,)
    async with sql.session(arena, arena.stranger, search_path=path) as connection:
        what = f"search_path={path} in the start-up message; {read}"
        sql.judge(tried, what, await sql.answer(connection, read), finding="sql.search-path", also=gone)
    async with sql.session(arena, arena.stranger, options=f"-c search_path={path.replace(' ', '')}") as connection:
        what = f"options=-c search_path={path}; {read}"
        sql.judge(tried, what, await sql.answer(connection, read), finding="sql.search-path", also=gone)
    async with sql.session(arena, arena.stranger) as connection:
        await connection.execute(f"SET search_path = {path}")
        what = f"SET search_path = {path}; {read}"
        sql.judge(tried, what, await sql.answer(connection, read), finding="sql.search-path", also=gone)
        name = names.login_role(arena.victim.cell_id, arena.victim.account)
        statement = f"ALTER ROLE {name} SET search_path = public"
        sql.judge(tried, statement, await sql.answer(connection, statement), finding="sql.search-path")


@attack("sql.roles", surface="postgres", needs=("stranger",))
async def roles(arena: Arena, tried: Recorder) -> None:
    """SET ROLE, SET SESSION AUTHORIZATION and GRANT to every role of the server; powers for oneself."""
    cell, own = arena.stranger.cell_id, names.login_role(arena.stranger.cell_id, arena.stranger.account)
    async with sql.session(arena, arena.stranger) as connection:
        known = [row["rolname"] for row in await connection.fetch("SELECT rolname FROM pg_roles ORDER BY 1")]
        if names.service_role(arena.victim.cell_id, "conversation") not in known:
            raise AssertionError("the victim's roles are not in the catalogue")
        usable = {own, *(names.service_role(cell, service) for service in names.SERVICES)}
        others = [role for role in known if role not in usable]
        interesting = [role for role in others if role.startswith((arena.victim.cell_id, cell)) or "_" not in role[:13]]
        for role in sorted({*interesting, *(r for r in others if r.startswith("pg_")), "control_plane", "debezium"}):
            for statement in (f'SET ROLE "{role}"', f'SET SESSION AUTHORIZATION "{role}"'):
                sql.judge(tried, statement, await sql.answer(connection, statement), finding="sql.roles")
        for statement in (
            f"GRANT {names.service_role(arena.victim.cell_id, 'conversation')} TO {own}",
            f"ALTER ROLE {own} BYPASSRLS",
            f"ALTER ROLE {own} CREATEROLE",
            f"ALTER ROLE {own} REPLICATION",
            f"ALTER ROLE {own} SUPERUSER",
            f"ALTER ROLE {own} CONNECTION LIMIT -1",
            f"ALTER ROLE {names.login_role(arena.victim.cell_id, arena.victim.account)} PASSWORD 'stolen'",
            "CREATE ROLE stolen",
            f"DROP ROLE {names.login_role(arena.victim.cell_id, arena.victim.account)}",
            f"REASSIGN OWNED BY {names.owner_role(arena.victim.cell_id, 'conversation')} TO {own}",
        ):
            sql.judge(tried, statement, await sql.answer(connection, statement), finding="sql.roles")
        powers = await connection.fetch(
            "SELECT rolname FROM pg_roles WHERE (rolname LIKE $1 || '%' OR rolname LIKE $2 || '%')"
            " AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)",
            cell,
            arena.victim.cell_id,
        )
        what = "attributes of the roles of both cells in pg_roles"
        reason = "a role of a cell has a power that passes by its guards"
        tried.expect(not powers, what, sql.shown(powers), by=FOREIGN_CELL, finding="sql.roles.power", reason=reason)
        members = await connection.fetch(
            "SELECT g.rolname, m.rolname FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid"
            " JOIN pg_roles m ON m.oid = a.member WHERE left(g.rolname, 12) = $1 AND left(m.rolname, 12) <> $1",
            arena.victim.cell_id,
        )
        what, reason = (
            "members of the victim's roles in pg_auth_members",
            "another cell may become a role of the victim",
        )
        tried.expect(not members, what, sql.shown(members), by=FOREIGN_CELL, finding="sql.roles", reason=reason)


@attack("sql.databases", surface="postgres", needs=("stranger",))
async def databases(arena: Arena, tried: Recorder) -> None:
    """Other databases of the server, replication, no password, a wrong one, the login of migrations outside of one."""
    refused = (asyncpg.PostgresError,)
    for database in ("postgres", "template1", "template0"):
        try:
            async with sql.session(arena, arena.stranger, database=database):
                reason = "any session there blocks CREATE DATABASE and keeps objects that no quota counts"
                tried.leaked(
                    f"connect to {database}", "connected", by=FOREIGN_CELL, finding="sql.databases", reason=reason
                )
        except refused as error:
            tried.held(f"connect to {database}", error, by=FOREIGN_CELL, finding="sql.databases")
    await _logins(arena, tried)
    try:
        async with sql.session(arena, arena.stranger, migrator=True) as connection:
            owner = names.owner_role(arena.stranger.cell_id, "conversation")
            got = await sql.answer(connection, f"SET ROLE {owner}")
            reason = "the password of migrations works while none runs: whoever has it owns the cell's tables"
            what = "log in as the cell's migrations and become the owner of its schema"
            tried.leaked(what, sql.shown(got), by=FOREIGN_CELL, finding="sql.migrator", reason=reason)
    except sql.NO_LOGIN as error:
        tried.held("log in as the cell's migrations", error, by=FOREIGN_CELL, finding="sql.migrator")


async def _logins(arena: Arena, tried: Recorder) -> None:
    host, port = arena.places.postgres.rsplit(":", 1)
    database = arena.places.postgres_database
    secret = arena.stranger.store_password(cell_bundle.POSTGRES)
    own, victim = (names.login_role(party.cell_id, party.account) for party in (arena.stranger, arena.victim))
    worker = names.service_role(arena.victim.cell_id, "conversation")
    attempts: tuple[tuple[Attacker, str, str, dict[str, str]], ...] = (
        (NOBODY, victim, "", {}),
        (NOBODY, victim, "wrong", {}),
        (FOREIGN_CELL, victim, secret, {}),
        (FOREIGN_CELL, "postgres", secret, {}),
        (FOREIGN_CELL, worker, secret, {}),
        *(
            (FOREIGN_CELL, names.login_role(party.cell_id, cell_bundle.other(party.account)), secret, {})
            for party in (arena.stranger, arena.victim)
        ),
        (FOREIGN_CELL, own, secret, {"replication": "database"}),
        (FOREIGN_CELL, own, secret, {"replication": "true"}),
        (FOREIGN_CELL, own, secret, {"role": worker}),
        (FOREIGN_CELL, own, secret, {"session_authorization": "postgres"}),
        (FOREIGN_CELL, own, secret, {"session_preload_libraries": "auto_explain"}),
    )
    for by, user, password, settings in attempts:
        what = f"log in as {user}" + (f" with {settings}" if settings else f" with the password {password or '(none)'}")
        try:
            connection = await asyncpg.connect(
                host=host, port=int(port), user=user, password=password, database=database,
                timeout=15, server_settings=settings or None,
            )  # fmt: skip
        except asyncpg.PostgresError as error:
            tried.held(what, error, by=by, finding="sql.login")
            continue
        await connection.close()
        tried.leaked(what, "logged in", by=by, finding="sql.login", reason="the login was accepted")
