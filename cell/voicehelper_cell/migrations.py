"""What every service's first migration writes: the tenant policy, the outbox."""

from __future__ import annotations

from alembic import op
from voicehelper_core import names

_TENANT = "tenant_id = nullif(current_setting('app.tenant_id', true), '')"


def attribute(name: str) -> str:
    """``cell_id`` or ``schema`` of the running migration."""
    config = op.get_context().config
    assert config is not None
    return str(config.attributes[name])


def execute(statement: str) -> None:
    """One statement, as it is."""
    op.get_bind().exec_driver_sql(statement)


def protect(table: str, privileges: str, service: str) -> None:
    """Row-level security by tenant, also for the owner, and the workload's rights."""
    schema, role = attribute("schema"), names.service_role(attribute("cell_id"), service)
    execute(f"alter table {schema}.{table} enable row level security")
    execute(f"alter table {schema}.{table} force row level security")
    execute(f"create policy tenant on {schema}.{table} using ({_TENANT}) with check ({_TENANT})")
    execute(f"grant {privileges} on {schema}.{table} to {role}")


def outbox(service: str, topics: dict[str, str]) -> None:
    """The outbox. The trigger is the owner's, so the workload cannot write into another cell's topic.

    ``topics`` maps an aggregate type to a topic's name without the cell.
    """
    schema, cell = attribute("schema"), attribute("cell_id")
    execute(
        f"""
        create table {schema}.outbox (
            id uuid primary key default gen_random_uuid(),
            topic text not null,
            aggregatetype text not null,
            aggregateid text not null,
            type text not null,
            tenant_id text not null,
            payload bytea not null,
            created_at timestamptz not null default clock_timestamp()
        )"""
    )
    execute(f"create index outbox_age on {schema}.outbox (created_at)")
    cases = " ".join(f"when '{kind}' then '{names.topic(cell, topic)}'" for kind, topic in topics.items())
    execute(
        f"create function {schema}.outbox_topic() returns trigger language plpgsql as $$ begin"
        f" new.topic := case new.aggregatetype {cases} end; return new; end $$"
    )
    execute(
        f"create trigger outbox_topic before insert on {schema}.outbox"
        f" for each row execute function {schema}.outbox_topic()"
    )
    protect("outbox", "insert", service)
