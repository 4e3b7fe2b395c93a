"""Conversations, messages, the events of answers, idempotency keys and the outbox."""

from __future__ import annotations

from voicehelper_cell import migrations

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    """
    create table {schema}.conversations (
        id uuid primary key default gen_random_uuid(),
        tenant_id text not null,
        user_id text not null,
        title text not null default '',
        mode text not null check (mode in ('chat', 'agent', 'workflow')),
        next_sequence bigint not null default 1,
        created_at timestamptz not null default clock_timestamp(),
        updated_at timestamptz not null default clock_timestamp()
    )""",
    "create index conversations_listed on {schema}.conversations (tenant_id, user_id, created_at desc, id desc)",
    """
    create table {schema}.messages (
        id uuid primary key default gen_random_uuid(),
        tenant_id text not null,
        conversation_id uuid not null references {schema}.conversations on delete cascade,
        user_id text not null,
        sequence bigint not null,
        role text not null check (role in ('user', 'assistant')),
        content text not null default '',
        citations jsonb not null default '[]',
        status text not null check (status in ('streaming', 'completed', 'failed')),
        error text not null default '',
        model text not null default '',
        tokens_used integer not null default 0,
        cost_usd numeric(18, 6) not null default 0,
        worker text not null default '',
        created_at timestamptz not null default clock_timestamp(),
        completed_at timestamptz,
        unique (conversation_id, sequence)
    )""",
    "create index messages_streaming on {schema}.messages (tenant_id) where status = 'streaming'",
    "create index messages_used on {schema}.messages (tenant_id, created_at) include (tokens_used)",
    """
    create table {schema}.message_events (
        tenant_id text not null,
        message_id uuid not null references {schema}.messages on delete cascade,
        id bigint not null,
        type text not null,
        events jsonb not null,
        primary key (message_id, id)
    )""",
    """
    create table {schema}.idempotency (
        tenant_id text not null,
        user_id text not null,
        route text not null,
        key text not null,
        fingerprint bytea not null,
        result_id uuid not null,
        created_at timestamptz not null default clock_timestamp(),
        primary key (tenant_id, user_id, route, key)
    )""",
    "create index idempotency_age on {schema}.idempotency (tenant_id, created_at)",
)


def upgrade() -> None:
    schema = migrations.attribute("schema")
    for statement in _TABLES:
        migrations.execute(statement.format(schema=schema))
    for table in ("conversations", "messages", "message_events", "idempotency"):
        migrations.protect(table, "conversation")
    migrations.outbox("conversation", {"conversation": "conversation.events"})


def downgrade() -> None:
    raise NotImplementedError("the first revision has nothing to go back to")
