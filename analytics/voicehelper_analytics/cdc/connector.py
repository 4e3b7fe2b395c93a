"""Configuration of the Debezium connector, part by part, each with the reason for what is not a default."""

from __future__ import annotations

PUBLICATION = "voicehelper"
SLOT = "voicehelper"
TOPIC_PREFIX = "cdc"

# Debezium splits lists of expressions at commas, so the expressions hold none.
_SCHEMA = "[a-z][a-z0-9]{11}_(conversation|knowledge)"
_TABLES = "conversations|messages|documents|chunks"
CONTENT_COLUMNS = ("content", "citations", "text", "title", "error", "events")
"""Columns that never leave Postgres. The publication leaves them out of the stream; a snapshot reads tables, not the
publication, so the connector has to leave them out as well."""

HEARTBEAT_SECONDS = 10
_HEARTBEAT_PREFIX = "voicehelper-heartbeat"


def connector_config(
    *,
    host: str,
    port: int,
    database: str,
    user: str,
    password: str,
    publication: str = PUBLICATION,
    slot: str = SLOT,
    replication_factor: int = 1,
) -> dict[str, str]:
    """The body of ``PUT /connectors/<name>/config``.

    ``user`` needs REPLICATION, BYPASSRLS and SELECT on the cells' schemas; the publication must exist.
    """
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "tasks.max": "1",
        "plugin.name": "pgoutput",
        "database.hostname": host,
        "database.port": str(port),
        "database.user": user,
        "database.password": password,
        "database.dbname": database,
        "topic.prefix": TOPIC_PREFIX,
        **_capture(publication, slot),
        **_pace(),
        **_heartbeat(),
        **_conversion(),
        **_transforms(),
        "topic.creation.default.partitions": "3",
        "topic.creation.default.replication.factor": str(replication_factor),
    }


def _capture(publication: str, slot: str) -> dict[str, str]:
    return {
        # The operator keeps the publication's list of tables; FOR ALL TABLES would block updates of keyless tables.
        "publication.name": publication,
        "publication.autocreate.mode": "disabled",
        "slot.name": slot,
        "slot.drop.on.stop": "false",
        "schema.include.list": _SCHEMA,
        "table.include.list": f"{_SCHEMA}\\.({_TABLES}|outbox)",
        "column.exclude.list": f"{_SCHEMA}\\.({_TABLES})\\.({'|'.join(CONTENT_COLUMNS)})",
        "snapshot.mode": "initial",
        "snapshot.fetch.size": "10000",
        "decimal.handling.mode": "string",
        "binary.handling.mode": "bytes",
    }


def _pace() -> dict[str, str]:
    return {
        "poll.interval.ms": "10",
        "max.batch.size": "2048",
        "max.queue.size": "8192",
        # A Postgres that restarts is back in a second or two; the default waits ten, six times, and then gives up.
        "retriable.restart.connector.wait.ms": "1000",
        "slot.max.retries": "60",
        "slot.retry.delay.ms": "1000",
    }


def _heartbeat() -> dict[str, str]:
    # Writes outside of the captured tables also fill the write-ahead log; without a captured change now and then the
    # slot would hold all of it. The message is not a table's row and is not published.
    return {
        "heartbeat.interval.ms": str(HEARTBEAT_SECONDS * 1000),
        "heartbeat.action.query": f"SELECT pg_logical_emit_message(false, '{_HEARTBEAT_PREFIX}', now()::text)",
        "message.prefix.exclude.list": _HEARTBEAT_PREFIX,
    }


def _conversion() -> dict[str, str]:
    # outbox.payload is bytea: its bytes are the record's value as they are. Everything else is JSON without schemas.
    value = "value.converter.delegate.converter.type"
    return {
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "key.converter.schemas.enable": "false",
        "value.converter": "io.debezium.converters.BinaryDataConverter",
        value: "org.apache.kafka.connect.json.JsonConverter",
        f"{value}.schemas.enable": "false",
    }


def _transforms() -> dict[str, str]:
    return {
        "predicates": "isOutbox",
        "predicates.isOutbox.type": "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
        "predicates.isOutbox.pattern": rf"{TOPIC_PREFIX}\.{_SCHEMA}\.outbox",
        "transforms": "unwrap,route,outbox",
        "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
        "transforms.unwrap.delete.tombstone.handling.mode": "rewrite-with-tombstone",
        "transforms.unwrap.add.fields": "op,table,lsn,source.ts_ms",
        "transforms.unwrap.predicate": "isOutbox",
        "transforms.unwrap.negate": "true",
        "transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter",
        "transforms.route.regex": rf"{TOPIC_PREFIX}\.{_SCHEMA}\.({_TABLES})",
        "transforms.route.replacement": f"{TOPIC_PREFIX}.$1.$2",
        # A trigger of the schema's owner fills outbox.topic, so that no cell writes into another cell's topic.
        "transforms.outbox.type": "io.debezium.transforms.outbox.EventRouter",
        "transforms.outbox.predicate": "isOutbox",
        "transforms.outbox.route.by.field": "topic",
        "transforms.outbox.route.topic.replacement": "${routedByValue}",
        "transforms.outbox.table.field.event.key": "aggregateid",
        "transforms.outbox.table.fields.additional.placement": "type:header:event_type,tenant_id:header:tenant_id",
        "transforms.outbox.table.expand.json.payload": "false",  # expansion drops nulls
    }
