"""What must be true in Postgres for a cell. All names come from ids, so they need no quoting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from voicehelper_core import names, placement_list
from voicehelper_core.names import Account

from voicehelper_operator.slices.credentials import MIGRATOR_PASSWORD
from voicehelper_operator.slices.interface import CellRef
from voicehelper_operator.slices.postgres import logins

MIGRATION_MINUTES = 10
"""A migration has to be done by then; it is cut off much earlier."""


@dataclass(frozen=True, slots=True)
class Fact:
    """``check`` gives true or not, ``fix`` makes it true; ``{password}`` stands for the secret called ``password``."""

    what: str
    check: str
    fix: tuple[str, ...]
    password: str | None = None


_POWERLESS = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
_IS_POWERLESS = "NOT (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)"


def _group(role: str) -> Fact:
    return Fact(
        f"role {role}",
        f"SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}' AND NOT rolcanlogin AND {_IS_POWERLESS})",
        (_create(role), f"ALTER ROLE {role} NOLOGIN {_POWERLESS}"),
    )


def _create(role: str) -> str:
    return (
        f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}')"
        f" THEN CREATE ROLE {role} NOLOGIN; END IF; END $$"
    )


def _login(role: str, connections: int, password: str) -> Fact:
    options = f"LOGIN NOINHERIT {_POWERLESS} CONNECTION LIMIT {connections}"
    return Fact(
        f"role {role}",
        "SELECT EXISTS (SELECT FROM pg_roles WHERE"
        f" rolname = '{role}' AND rolcanlogin AND NOT rolinherit AND {_IS_POWERLESS} AND rolconnlimit = {connections})",
        (_create(role), f"ALTER ROLE {role} {options} PASSWORD {{password}}"),
        password,
    )


def _closed(role: str) -> Fact:
    """It need not be there."""
    return Fact(
        f"that {role} cannot log in",
        f"SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}' AND rolcanlogin)",
        (f"ALTER ROLE {role} NOLOGIN",),
    )


def _gone(role: str) -> Fact:
    """Whoever still has a session of a closed account is somebody who should have none."""
    return Fact(
        f"the end of the sessions of {role}",
        f"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE usename = '{role}')",
        (f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'",),
    )


def expire(role: str, minutes: int | None) -> str:
    """Let the role log in for so long from now on, or not any more."""
    until = "'1970-01-01'" if minutes is None else f"now() + interval '{minutes} minutes'"
    return (
        f"DO $$ BEGIN EXECUTE format('ALTER ROLE {role} VALID UNTIL %L',"
        f" to_char(({until})::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || '+00'); END $$"
    )


def _expiring(role: str) -> Fact:
    """Its password is worth nothing outside of a migration."""
    return Fact(
        f"end of the login of {role}",
        "SELECT EXISTS (SELECT FROM pg_roles WHERE"
        f" rolname = '{role}' AND rolvaliduntil < now() + interval '{MIGRATION_MINUTES} minutes')",
        (expire(role, None),),
    )


def _member(role: str, of: str) -> Fact:
    return Fact(
        f"membership of {role} in {of}",
        f"SELECT pg_has_role('{role}', '{of}', 'MEMBER')",
        (f"GRANT {of} TO {role}",),
    )


def _connect(role: str, database: str) -> Fact:
    return Fact(
        f"right of {role} to connect",
        f"SELECT has_database_privilege('{role}', '{database}', 'CONNECT')",
        (f"GRANT CONNECT ON DATABASE {database} TO {role}",),
    )


def _usage(role: str, schema: str) -> Fact:
    return Fact(
        f"right of {role} to use {schema}",
        f"SELECT has_schema_privilege('{role}', '{schema}', 'USAGE')",
        (f"GRANT USAGE ON SCHEMA {schema} TO {role}",),
    )


def _schema(schema: str, owner: str) -> Fact:
    return Fact(
        f"schema {schema}",
        "SELECT EXISTS (SELECT FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner"
        f" WHERE nspname = '{schema}' AND rolname = '{owner}')",
        (f"CREATE SCHEMA IF NOT EXISTS {schema}", f"ALTER SCHEMA {schema} OWNER TO {owner}"),
    )


def _readable(schema: str, owner: str, reader: str) -> Fact:
    """Tables that migrations make later are readable for change data capture from their first moment."""
    return Fact(
        f"right of {reader} to read {schema}",
        "SELECT EXISTS (SELECT FROM pg_default_acl d JOIN pg_namespace n ON n.oid = d.defaclnamespace,"
        f" aclexplode(d.defaclacl) a JOIN pg_roles r ON r.oid = a.grantee WHERE n.nspname = '{schema}'"
        f" AND d.defaclobjtype = 'r' AND r.rolname = '{reader}' AND a.privilege_type = 'SELECT')"
        f" AND NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        f" WHERE n.nspname = '{schema}' AND c.relkind = 'r' AND NOT has_table_privilege('{reader}', c.oid, 'SELECT'))",
        (
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT SELECT ON TABLES TO {reader}",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}",
        ),
    )


def _placement(cell: CellRef, accounts: Sequence[Account]) -> Iterator[Fact]:
    """Read by the workload, which admits by it, and its services, whose outboxes take events of listed tenants only."""
    cell_id = cell.cell_id
    schema = names.placement_schema(cell_id)
    table, enter = f"{schema}.tenants", f"{schema}.enter(text, boolean)"
    yield Fact(
        f"table {table}",
        f"SELECT to_regclass('{table}') IS NOT NULL AND to_regprocedure('{enter}') IS NOT NULL"
        f" AND NOT has_function_privilege('public', '{enter}', 'EXECUTE') AND EXISTS"
        f" (SELECT FROM pg_trigger WHERE tgrelid = to_regclass('{table}') AND tgname = 'changed' AND tgenabled = 'O')",
        placement_list.statements(cell_id),
    )
    readers = [names.service_role(cell_id, service) for service in names.SERVICES]
    for role in (*(login.role for login in logins.wanted(cell, accounts)), *readers):
        yield Fact(
            f"right of {role} to read {table}",
            f"SELECT has_schema_privilege('{role}', '{schema}', 'USAGE') AND has_table_privilege('{role}', '{table}',"
            f" 'SELECT') AND has_function_privilege('{role}', '{enter}', 'EXECUTE')",
            placement_list.granted(cell_id, role),
        )


def facts(cell: CellRef, accounts: Sequence[Account], *, database: str, reader: str) -> Iterator[Fact]:
    """In the order in which they can be made. ``accounts`` are open, the others closed."""
    cell_id, migrator = cell.cell_id, names.migrator_role(cell.cell_id)
    for login in logins.wanted(cell, accounts):
        yield _login(login.role, login.connections, login.password)
        yield _connect(login.role, database)
    for role in logins.closed(cell, accounts):
        yield _closed(role)
    for role in logins.former(cell, accounts):
        yield _gone(role)
    yield _login(migrator, 4, MIGRATOR_PASSWORD)
    yield _expiring(migrator)
    yield _connect(migrator, database)
    for service in names.SERVICES:
        owner, worker = names.owner_role(cell_id, service), names.service_role(cell_id, service)
        schema = names.schema(cell_id, service)
        yield _group(owner)
        yield _group(worker)
        yield _schema(schema, owner)
        yield _member(migrator, owner)
        yield _usage(worker, schema)
        yield _usage(reader, schema)
        yield _readable(schema, owner, reader)
    for login in logins.wanted(cell, accounts):
        for role in login.roles:
            yield _member(login.role, role)
    yield from _placement(cell, accounts)


def roles(cell_id: str) -> list[str]:
    """Every role of a cell."""
    groups = [make(cell_id, service) for service in names.SERVICES for make in (names.owner_role, names.service_role)]
    return [*(login.role for login in logins.every(cell_id)), names.migrator_role(cell_id), *groups]


def schemas(cell_id: str) -> list[str]:
    """Every schema of a cell."""
    return [*(names.schema(cell_id, service) for service in names.SERVICES), names.placement_schema(cell_id)]
