"""What keeps tenants apart in a service's tables: migrations write it, the operator looks whether it still holds."""

from __future__ import annotations

POLICY = "tenant"
"""Name of the one policy of every table with a ``tenant_id``."""
CONDITION = "tenant_id = nullif(current_setting('app.tenant_id', true), '')"
"""After a transaction the setting is '', not NULL; both mean no tenant and match no row."""
OUTBOX = "outbox"
OUTBOX_TRIGGER = "outbox_topic"
"""Trigger (and function of the schema's owner) that sets the topic, so that no cell writes into another cell's."""


def privileges(table: str) -> tuple[str, ...]:
    """What the workload may do with a table of tenants; it may do nothing with the others."""
    return ("INSERT",) if table == OUTBOX else ("SELECT", "INSERT", "UPDATE", "DELETE")


def protect(schema: str, table: str, role: str) -> tuple[str, ...]:
    """Statements that put row-level security on a new table, also for its owner, and let the workload's role in."""
    name = f"{schema}.{table}"
    return (
        f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        f"DROP POLICY IF EXISTS {POLICY} ON {name}",
        f"CREATE POLICY {POLICY} ON {name} USING ({CONDITION}) WITH CHECK ({CONDITION})",
        f"REVOKE ALL ON {name} FROM {role}",
        f"GRANT {', '.join(privileges(table))} ON {name} TO {role}",
    )
