"""Configuration of the Debezium connector, part by part, each with the reason for what is not a default."""

from __future__ import annotations

from voicehelper_core.names import CONTENT_COLUMNS

PUBLICATION = "voicehelper"
SLOT = "voicehelper"
TOPIC_PREFIX = "cdc"

# Debezium splits lists of expressions at commas, so the expressions hold none.
_SCHEMA = "[a-z][a-z0-9]{11}_(conversation|knowledge)"
_TABLES = "conversations|messages|documents|chunks"

HEARTBEAT_SECONDS = 2
"""On an idle server a slot moves by heartbeats only, and a cell's end waits until it has passed the last events."""


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
        # The publication leaves contents out of the stream; a snapshot reads tables, not the publication.
        "column.exclude.list": f"{_SCHEMA}\\.({_TABLES})\\.({'|'.join(CONTENT_COLUMNS)})",
        # At the first start, and whenever the log no longer reaches back to the last offset (see slot.py).
        "snapshot.mode": "when_needed",
        "snapshot.fetch.size": "10000",
        "decimal.handling.mode": "string",
        "binary.handling.mode": "bytes",
    }


def _pace() -> dict[str, str]:
    return {
        # An event waits up to twice this long: for the next look at the log, and for the next look at what was read.
        # Measured, commit to Kafka: with 10 ms 15 ms at the median, with 5 ms 10, with 2 ms 7; an idle Connect then
        # costs 10, 13 and 28 % of a core.
        "poll.interval.ms": "5",
        "producer.override.linger.ms": "0",  # Kafka's own 5 ms wait for company that the batches above have already
        "max.batch.size": "2048",
        "max.queue.size": "8192",
        # A Postgres that restarts is back in a second or two; the default waits ten, six times, and then gives up.
        "retriable.restart.connector.wait.ms": "1000",
        "slot.max.retries": "60",
        "slot.retry.delay.ms": "1000",
    }


def _heartbeat() -> dict[str, str]:
    # Writes outside of the captured tables also fill the write-ahead log; without a captured change now and then the
    # slot would hold all of it. No logical message is published, this one or another's.
    return {
        "heartbeat.interval.ms": str(HEARTBEAT_SECONDS * 1000),
        "heartbeat.action.query": "SELECT pg_logical_emit_message(false, 'voicehelper-heartbeat', now()::text)",
        "message.prefix.exclude.list": ".*",
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
