"""What keeps a cell and its tenants apart from others: who may become its roles, who may enter its schemas, and the
row-level security of its tables. Somebody who adds a right by hand finds it taken again, as what is removed is made.
"""

from __future__ import annotations

from collections.abc import Iterator

from voicehelper_core import names, row_security

from voicehelper_operator.slices.postgres import logins
from voicehelper_operator.slices.postgres.facts import Fact, roles

_OF_TENANTS = (
    "EXISTS (SELECT FROM pg_attribute t WHERE t.attrelid = c.oid AND t.attname = 'tenant_id' AND t.attnum > 0)"
)
"""Whether the table ``c`` holds rows of tenants."""
_GRANTEE = "CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(a.grantee::regrole::text) END"
"""Who has the right ``a``, as GRANT and REVOKE name it."""


def _listed(words: list[str]) -> str:
    return "ARRAY[" + ", ".join(f"'{word}'" for word in words) + "]::text[]"


def _each(query: str, statement: str) -> str:
    """Runs ``statement``, a format of the query's columns (``%s``), for every row."""
    return f"DO $do$ DECLARE s text; BEGIN FOR s IN {query.format(want=statement)} LOOP EXECUTE s; END LOOP; END $do$"


def _members(cell_id: str) -> Fact:
    """Logins may become their services' roles, migrations the owners; nobody else anything."""
    allowed = [f"{role}<{login.role}" for login in logins.every(cell_id) for role in login.roles]
    for service in names.SERVICES:
        allowed.append(f"{names.owner_role(cell_id, service)}<{names.migrator_role(cell_id)}")
    ours = _listed(roles(cell_id))
    query = (
        "SELECT {want} FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid JOIN pg_roles m ON m.oid = a.member"
        f" WHERE (g.rolname = ANY({ours}) OR m.rolname = ANY({ours}))"
        f" AND g.rolname || '<' || m.rolname <> ALL({_listed(allowed)})"
    )
    return Fact(
        f"that nobody else may become a role of {cell_id}",
        f"SELECT NOT EXISTS ({query.format(want='')})",
        (_each(query, "format('REVOKE %I FROM %I', g.rolname, m.rolname)"),),
    )


def _schema(schema: str, allowed: list[str]) -> Fact:
    """Nobody else has a right on the schema; its owner has all."""
    query = (
        "SELECT {want} FROM pg_namespace n, aclexplode(n.nspacl) a"
        f" WHERE n.nspname = '{schema}' AND a.grantee <> n.nspowner AND (a.privilege_type <> 'USAGE'"
        f" OR COALESCE((SELECT rolname FROM pg_roles WHERE oid = a.grantee), 'public') <> ALL({_listed(allowed)}))"
    )
    return Fact(
        f"that nobody else may use {schema}",
        f"SELECT NOT EXISTS ({query.format(want='')})",
        (_each(query, f"format('REVOKE %s ON SCHEMA {schema} FROM %s', a.privilege_type, {_GRANTEE})"),),
    )


def _grants(schema: str, worker: str, reader: str) -> Fact:
    """Tables of tenants: the workload what migrations gave it, the reader SELECT, nobody else anything."""
    wanted = " UNION ALL ".join(
        f"SELECT '{worker}', unnest({_listed(list(row_security.privileges(table)))}), {test}"
        for table, test in ((row_security.OUTBOX, "true"), ("", "false"))
    )
    tables = (
        f"FROM pg_class c WHERE c.relnamespace = '{schema}'::regnamespace AND c.relkind IN ('r', 'p') AND {_OF_TENANTS}"
    )
    missing = (
        f"SELECT {{want}} FROM (SELECT c.oid, c.relname {tables}) t JOIN ({wanted}) w(role, privilege, of_outbox)"
        f" ON w.of_outbox = (t.relname = '{row_security.OUTBOX}')"
        " WHERE NOT has_table_privilege(w.role, t.oid, w.privilege)"
    )
    excess = (
        "SELECT {want} FROM pg_class c, aclexplode(c.relacl) a"
        f" WHERE c.relnamespace = '{schema}'::regnamespace AND a.grantee <> c.relowner AND NOT"
        f" (a.grantee = '{reader}'::regrole AND a.privilege_type = 'SELECT') AND NOT (a.grantee = '{worker}'::regrole"
        f" AND EXISTS (SELECT FROM ({wanted}) w(role, privilege, of_outbox) WHERE w.privilege = a.privilege_type"
        f" AND w.of_outbox = (c.relname = '{row_security.OUTBOX}'))"
        f" AND {_OF_TENANTS})"
    )
    return Fact(
        f"the rights on the tables of {schema}",
        f"SELECT NOT EXISTS ({missing.format(want='')}) AND NOT EXISTS ({excess.format(want='')})",
        (
            _each(excess, f"format('REVOKE %s ON %s FROM %s', a.privilege_type, c.oid::regclass, {_GRANTEE})"),
            _each(missing, "format('GRANT %s ON %s TO %I', w.privilege, t.oid::regclass, w.role)"),
        ),
    )


def _rows(schema: str) -> Fact:
    """Every table with a tenant has forced row-level security and exactly the tenant's policy."""
    same = "pg_get_expr(p.{column}, p.polrelid) = (SELECT expression FROM wanted)"
    # How Postgres writes the condition down again; the cast of '' differs from our text, so its own form is compared.
    wanted = "tenant_id = NULLIF(current_setting('app.tenant_id'::text, true), ''::text)"
    good = (
        f"p.polname = '{row_security.POLICY}' AND p.polpermissive AND p.polcmd = '*' AND p.polroles = '{{{{0}}}}'"
        f" AND {same.format(column='polqual')} AND {same.format(column='polwithcheck')}"
    )
    query = (
        f"WITH wanted(expression) AS (VALUES ($w$({wanted})$w$)) SELECT {{want}} FROM pg_class c"
        f" WHERE c.relnamespace = '{schema}'::regnamespace AND c.relkind IN ('r', 'p')"
        f" AND {_OF_TENANTS}"
        f" AND NOT (c.relrowsecurity AND c.relforcerowsecurity"
        f" AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND {good})"
        f" AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polpermissive AND NOT ({good})))"
    )
    strange = (
        "(SELECT COALESCE(string_agg(format('DROP POLICY %I ON %s; ', p.polname, c.oid::regclass), ''), '')"
        " FROM pg_policy p WHERE p.polrelid = c.oid AND p.polpermissive)"
    )
    text = row_security.CONDITION.replace("'", "''")
    statement = (
        f"{strange} || format('ALTER TABLE %1$s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
        f" CREATE POLICY {row_security.POLICY} ON %1$s USING ({text}) WITH CHECK ({text})', c.oid::regclass)"
    )
    return Fact(
        f"row-level security of {schema}", f"SELECT NOT EXISTS ({query.format(want='')})", (_each(query, statement),)
    )


def _outbox(schema: str) -> Fact:
    """The trigger that sets the topic is there and enabled."""
    table, trigger = f"{schema}.{row_security.OUTBOX}", row_security.OUTBOX_TRIGGER
    on = (
        f"(SELECT tgenabled = 'O' FROM pg_trigger WHERE tgrelid = to_regclass('{table}') AND tgname = '{trigger}'"
        f" AND tgfoid = to_regproc('{schema}.{trigger}'))"
    )
    made = f"CREATE TRIGGER {trigger} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {schema}.{trigger}()"
    return Fact(
        f"trigger of {table}",
        f"SELECT to_regclass('{table}') IS NULL OR COALESCE({on}, false)",
        (f"DROP TRIGGER IF EXISTS {trigger} ON {table}", made),
    )


def guards(cell_id: str, reader: str) -> Iterator[Fact]:
    """To be looked at after the cell's roles and schemas are there; they hold before tables are."""
    yield _members(cell_id)
    for service in names.SERVICES:
        schema, worker = names.schema(cell_id, service), names.service_role(cell_id, service)
        owner = names.owner_role(cell_id, service)
        yield Fact(
            f"right of {owner} to take locks",
            f"SELECT has_function_privilege('{owner}', 'pg_advisory_xact_lock(bigint)', 'EXECUTE')",
            (f"GRANT EXECUTE ON FUNCTION pg_advisory_xact_lock(bigint) TO {owner}",),
        )
        yield _schema(schema, [worker, reader])
        yield _rows(schema)
        yield _grants(schema, worker, reader)
        yield _outbox(schema)
    readers = [names.service_role(cell_id, service) for service in names.SERVICES]
    yield _schema(names.placement_schema(cell_id), [*(login.role for login in logins.every(cell_id)), *readers])
