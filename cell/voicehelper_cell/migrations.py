"""What every service's first migration writes: the tenant policy, the outbox."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text
from voicehelper_core import names, row_security

MAX_EVENT_BYTES = 2**20


def attribute(name: str) -> str:
    """``cell_id`` or ``schema`` of the running migration."""
    config = op.get_context().config
    assert config is not None
    return str(config.attributes[name])


def execute(statement: str) -> None:
    """One statement, as it is: a colon names no parameter."""
    op.execute(text(statement.replace(":", r"\:")))


def protect(table: str, service: str) -> None:
    """Row-level security by tenant, also for the owner, and the workload's rights."""
    role = names.service_role(attribute("cell_id"), service)
    for statement in row_security.protect(attribute("schema"), table, role):
        execute(statement)


def unique_in_tenant(table: str) -> None:
    """What references that compare the tenant need."""
    execute(f"alter table {attribute('schema')}.{table} add constraint {table}_of_tenant unique (tenant_id, id)")


def refer(table: str, column: str, target: str) -> None:
    """Replace the reference of ``column`` by one to a row of the same tenant. The row goes with what it refers to."""
    schema = attribute("schema")
    execute(
        f"alter table {schema}.{table} drop constraint {table}_{column}_fkey, add constraint {table}_{column}_of_tenant"
        f" foreign key (tenant_id, {column}) references {schema}.{target} (tenant_id, id) on delete cascade"
    )


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
    execute(
        f"create function {schema}.outbox_topic() returns trigger language plpgsql as $$ begin"
        f" {_topic(cell, topics)} return new; end $$"
    )
    execute(
        f"create trigger {row_security.OUTBOX_TRIGGER} before insert on {schema}.outbox"
        f" for each row execute function {schema}.outbox_topic()"
    )
    protect(row_security.OUTBOX, service)


def _topic(cell_id: str, topics: dict[str, str]) -> str:
    cases = " ".join(f"when '{kind}' then '{names.topic(cell_id, topic)}'" for kind, topic in topics.items())
    return f"new.topic := case new.aggregatetype {cases} end;"


def check_outbox(topics: dict[str, str]) -> None:
    """An event is of a tenant that is placed in the cell, or its row is refused (SQLSTATE 42501).

    Everything behind Kafka believes the envelope's tenant: without this, whoever holds the credentials of one cell
    could write usage of any tenant. ``json`` takes the last of several members of one name, as ``Envelope.parse`` does.
    """
    schema, cell = attribute("schema"), attribute("cell_id")
    execute(
        f"create or replace function {schema}.outbox_topic() returns trigger language plpgsql"
        f" set search_path = pg_catalog as $$ begin {_topic(cell, topics)}"
        " if convert_from(new.payload, 'UTF8')::json ->> 'tenant_id' is distinct from new.tenant_id or not exists"
        f" (select from {names.placement_schema(cell)}.tenants t where t.tenant_id = new.tenant_id) then"
        " raise insufficient_privilege using message = 'the event is not of a tenant of this cell'; end if;"
        " return new; end $$"
    )


def limit_outbox() -> None:
    """No event may be too large for Kafka: one such row would stop the events of all cells."""
    execute(
        f"alter table {attribute('schema')}.outbox add constraint outbox_payload_size"
        f" check (octet_length(payload) <= {MAX_EVENT_BYTES}) not valid"
    )


def unlimit_outbox() -> None:
    """Back to the revision before."""
    execute(f"alter table {attribute('schema')}.outbox drop constraint outbox_payload_size")
