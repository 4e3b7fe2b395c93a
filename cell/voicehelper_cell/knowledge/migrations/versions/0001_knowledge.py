"""Documents, passages, postings, embeddings, totals, idempotency keys and the outbox."""

from __future__ import annotations

from pathlib import Path

from alembic import op
from voicehelper_core import names

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = ("documents", "chunks", "chunk_vectors", "chunk_terms", "totals", "idempotency")
_OUTBOX = """
create table {schema}.outbox (
    id uuid primary key default gen_random_uuid(),
    topic text not null,
    aggregatetype text not null,
    aggregateid text not null,
    type text not null,
    tenant_id text not null,
    payload bytea not null,
    created_at timestamptz not null default clock_timestamp()
);
create index outbox_age on {schema}.outbox (created_at);
create function {schema}.outbox_topic() returns trigger language plpgsql as $$ begin
    new.topic := '{cell}.' || case new.aggregatetype when 'document' then 'document.events' end;
    return new;
end $$;
create trigger outbox_topic before insert on {schema}.outbox
    for each row execute function {schema}.outbox_topic();
"""
_POLICY = """
alter table {schema}.{table} enable row level security;
alter table {schema}.{table} force row level security;
create policy tenant on {schema}.{table}
    using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''));
grant {privileges} on {schema}.{table} to {role};
"""


def _run(statements: str) -> None:
    """One statement at a time; they are split at ``;`` outside of function bodies."""
    parts = statements.split("$$")
    pieces = [""]
    for number, part in enumerate(parts):
        if number % 2:
            pieces[-1] += f"$${part}$$"
            continue
        first, *rest = part.split(";")
        pieces[-1] += first
        pieces += rest
    for piece in pieces:
        if piece.strip():
            op.get_bind().exec_driver_sql(piece)


def upgrade() -> None:
    """Everything of the schema; the workload may change rows of its tenant and only add to the outbox."""
    config = op.get_context().config
    assert config is not None
    cell = str(config.attributes["cell_id"])
    schema, role = names.schema(cell, "knowledge"), names.service_role(cell, "knowledge")
    lines = Path(__file__).with_suffix(".sql").read_text().splitlines()
    _run("\n".join(line for line in lines if not line.startswith("--")).replace("{schema}", schema))
    _run(_OUTBOX.format(schema=schema, cell=cell))
    _run(f"grant usage on schema {schema} to {role}")
    for table in _TABLES:
        _run(_POLICY.format(schema=schema, table=table, role=role, privileges="select, insert, update, delete"))
    _run(_POLICY.format(schema=schema, table="outbox", role=role, privileges="insert"))


def downgrade() -> None:
    """The first revision has nothing to go back to."""
    raise NotImplementedError
