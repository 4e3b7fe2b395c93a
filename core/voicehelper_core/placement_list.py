"""The list of tenants in a cell's Postgres slice: the operator keeps it, the cell's services go by it.

Every session of a service enters through ``enter``: a tenant that moves to another cell (``leaving``) is read-only here
from the moment at which its move says so, also for who was let in before. The move waits for the transactions that had
begun; those that want to begin wait for it.
"""

from __future__ import annotations

from voicehelper_core import names

MOVED = "another cell"
"""Worker of an answer that the cell where the tenant lived before still writes; its move brings what comes of it."""


def statements(cell_id: str) -> tuple[str, ...]:
    """Make the list, or bring an older one up to date."""
    schema = names.placement_schema(cell_id)
    table = f"{schema}.tenants"
    return (
        f"CREATE SCHEMA IF NOT EXISTS {schema}",
        f"""
        CREATE TABLE IF NOT EXISTS {table} (
            tenant_id text PRIMARY KEY,
            name text NOT NULL,
            suspended boolean NOT NULL DEFAULT false,
            limits jsonb NOT NULL DEFAULT '{{}}',
            updated_at timestamptz NOT NULL DEFAULT now()
        )""",
        f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS leaving boolean NOT NULL DEFAULT false",
        f"CREATE OR REPLACE FUNCTION {schema}.changed() RETURNS trigger LANGUAGE plpgsql AS $$"
        f" BEGIN PERFORM pg_notify('placement_{names.checked(cell_id)}', ''); RETURN NULL; END $$",
        f"CREATE OR REPLACE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON {table}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {schema}.changed()",
        # With the rights of its owner: cells may take no advisory locks but this one.
        f"CREATE OR REPLACE FUNCTION {schema}.enter(who text, finishing boolean) RETURNS void LANGUAGE plpgsql"
        f" SECURITY DEFINER SET search_path = pg_catalog AS $$ BEGIN"
        f" PERFORM pg_advisory_xact_lock_shared({lock_key(cell_id, 'who')});"
        f" IF NOT finishing AND EXISTS (SELECT FROM {table} t WHERE t.tenant_id = who AND t.leaving)"
        f" THEN PERFORM set_config('transaction_read_only', 'on', true); END IF; END $$",
        f"REVOKE ALL ON FUNCTION {schema}.enter(text, boolean) FROM PUBLIC",
    )


def granted(cell_id: str, role: str) -> tuple[str, ...]:
    """Let a role read the list and enter by it."""
    schema = names.placement_schema(cell_id)
    return (
        f"GRANT USAGE ON SCHEMA {schema} TO {role}",
        f"GRANT SELECT ON {schema}.tenants TO {role}",
        f"GRANT EXECUTE ON FUNCTION {schema}.enter(text, boolean) TO {role}",
    )


def lock_key(cell_id: str, tenant: str) -> str:
    """SQL of the key that a tenant's sessions share and its move takes alone; ``tenant`` is an expression."""
    return f"hashtextextended('{names.placement_schema(cell_id)} ' || {tenant}, 0)"


def enter(cell_id: str, tenant_id: str, *, finishing: bool) -> str:
    """The statement with which a session begins. ``finishing`` ends what had begun before the tenant was leaving."""
    called = f"{names.placement_schema(cell_id)}.enter('{names.checked(tenant_id)}', {str(finishing).lower()})"
    return f"SELECT {called}"
