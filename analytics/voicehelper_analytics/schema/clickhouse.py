"""The ClickHouse schema. Every statement can be run again."""

from __future__ import annotations

# A batch is deduplicated by its token within this many batches, in the table and in the targets of views:
# the sink replays at most its last batch, so a short window would do; the width costs nothing.
DEDUPLICATION_WINDOW = 1000

MESSAGE_EVENTS = f"""
CREATE TABLE IF NOT EXISTS message_events (
    event_id UUID,
    conversation_id String,
    message_id String,
    user_id String,
    tenant_id String,
    role Enum8('user' = 1, 'assistant' = 2),
    content String DEFAULT '',
    message_length UInt32,
    model LowCardinality(String),
    tokens_used UInt32,
    cost_usd Decimal(18, 4),
    created_at DateTime64(3, 'UTC'),
    date Date MATERIALIZED toDate(created_at)
) ENGINE = MergeTree
PARTITION BY toYYYYMM(created_at)
ORDER BY (tenant_id, user_id, created_at, event_id)
TTL toDateTime(created_at) + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}, fsync_after_insert = 1, fsync_part_directory = 1
"""

MESSAGE_STATS_MINUTE = f"""
CREATE TABLE IF NOT EXISTS message_stats_minute (
    tenant_id String,
    user_id String,
    minute DateTime('UTC'),
    message_count UInt64,
    total_tokens UInt64,
    total_cost Decimal(38, 4),
    user_message_count UInt64,
    assistant_message_count UInt64
) ENGINE = SummingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (tenant_id, user_id, minute)
TTL minute + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}, fsync_after_insert = 1, fsync_part_directory = 1
"""

_COUNTED = """
    tenant_id,
    user_id,
    toStartOfMinute(created_at) AS minute,
    count() AS message_count,
    sum(tokens_used) AS total_tokens,
    sum(cost_usd) AS total_cost,
    countIf(role = 'user') AS user_message_count,
    countIf(role = 'assistant') AS assistant_message_count
FROM message_events"""
_BY_MINUTE = "GROUP BY tenant_id, user_id, minute"
MESSAGE_STATS_MINUTE_VIEW = f"""
CREATE MATERIALIZED VIEW IF NOT EXISTS message_stats_minute_mv TO message_stats_minute AS
SELECT {_COUNTED}
{_BY_MINUTE}
"""

# What the minutes of some tenants lack to be what the events say. UInt64 wraps: what is too many is taken away.
_SOME = "WHERE tenant_id IN {tenants:Array(String)} AND minute BETWEEN {low:DateTime('UTC')} AND {high:DateTime('UTC')}"
_SUMS = "sum(message_count), sum(total_tokens), sum(total_cost), sum(user_message_count), sum(assistant_message_count)"
MISSING_MINUTES = f"""
SELECT tenant_id, user_id, minute, {_SUMS}
FROM (
    SELECT {_COUNTED} {_SOME} {_BY_MINUTE}
    UNION ALL
    SELECT tenant_id, user_id, minute, toUInt64(-toInt64(sum(message_count))), toUInt64(-toInt64(sum(total_tokens))),
           -sum(total_cost), toUInt64(-toInt64(sum(user_message_count))),
           toUInt64(-toInt64(sum(assistant_message_count)))
    FROM message_stats_minute {_SOME} {_BY_MINUTE}
)
{_BY_MINUTE}
HAVING ({_SUMS}) != (0, 0, 0, 0, 0)
"""  # noqa: S608 (constants)

STATEMENTS = (MESSAGE_EVENTS, MESSAGE_STATS_MINUTE, MESSAGE_STATS_MINUTE_VIEW)
TABLES = ("message_events", "message_stats_minute")
"""Those with data of their own."""
COLUMNS = (
    "event_id",
    "conversation_id",
    "message_id",
    "user_id",
    "tenant_id",
    "role",
    "message_length",
    "model",
    "tokens_used",
    "cost_usd",
    "created_at",
)
"""Columns of ``message_events`` that the sink writes, in order."""
