"""Kafka: another cell's SCRAM user against the victim's topics, groups and the cluster.

Attempts that would destroy something if they were allowed ask for validation only, or aim beside the real thing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from voicehelper_core import cell_bundle, names

from voicehelper_cli.isolation.attack import Recorder, attack
from voicehelper_cli.isolation.model import FOREIGN_CELL, NOBODY, Attacker

if TYPE_CHECKING:
    from voicehelper_cli.isolation.arena import Arena

_REFUSALS = (
    "TOPIC_AUTHORIZATION_FAILED",
    "GROUP_AUTHORIZATION_FAILED",
    "CLUSTER_AUTHORIZATION_FAILED",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
    "_NOENT",  # the client finds no leader of what it may not see
    "_UNKNOWN_PARTITION",
)
_SECONDS = 10.0


def access(arena: Arena, user: str, password: str, **more: Any) -> dict[str, Any]:
    """Settings of a client."""
    return {
        "bootstrap.servers": arena.places.kafka,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanisms": "SCRAM-SHA-256",
        "sasl.username": user,
        "sasl.password": password,
        "socket.timeout.ms": 5000,
        "log_level": 0,
        **more,
    }


def own(arena: Arena, **more: Any) -> dict[str, Any]:
    """As the stranger's cell logs in."""
    party = arena.stranger
    user = names.kafka_user(party.cell_id, party.account)
    return access(arena, user, party.store_password(cell_bundle.KAFKA), **more)


def refusal(work: Callable[[], Any]) -> tuple[Any, str]:
    """What came of it, and the name of Kafka's error ('' for none). Raises what is no refusal."""
    from confluent_kafka import KafkaException

    try:
        result = work()
    except KafkaException as error:
        result = error
    found = result if isinstance(result, KafkaException) else None
    name = str(found.args[0].name()) if found else ""
    if found and name not in _REFUSALS:
        raise found
    return (f"{name}: {found.args[0].str()}" if found else result), name


async def _try(tried: Recorder, finding: str, what: str, work: Callable[[], Any]) -> None:
    answer, name = await asyncio.to_thread(refusal, work)
    tried.expect(bool(name), what, str(answer), by=FOREIGN_CELL, finding=finding, reason="Kafka allowed it", sent=what)


def _all(call: Callable[..., Mapping[Any, Any]], *arguments: Any, **more: Any) -> Callable[[], Any]:
    """Ask, and wait for every answer."""
    return lambda: [future.result(_SECONDS) for future in call(*arguments, **more).values()]


@attack("kafka.topics", surface="kafka", needs=("stranger",))
async def topics(arena: Arena, tried: Recorder) -> None:
    """Read, write, describe, configure, delete the victim's topics; make topics beside one's prefix."""
    from confluent_kafka import admin as kafka

    victim, mine = arena.victim.cell_id, arena.stranger.cell_id
    client = kafka.AdminClient(own(arena))
    listed = sorted((await asyncio.to_thread(client.list_topics, timeout=_SECONDS)).topics)
    foreign = [name for name in listed if not name.startswith(f"{mine}.")]
    reason = "topics of others are visible"
    tried.expect(
        not foreign and bool(listed), "list all topics", listed, by=FOREIGN_CELL, finding="kafka.list", reason=reason
    )
    wanted = [names.topic(victim, name) for name in names.TOPICS]
    for topic in (*wanted, "cdc.conversation.messages", "_connect_config", "__consumer_offsets"):
        config = kafka.ConfigResource(kafka.ConfigResource.Type.TOPIC, topic)
        altered = kafka.ConfigResource(
            kafka.ConfigResource.Type.TOPIC,
            topic,
            incremental_configs=[
                kafka.ConfigEntry("retention.ms", "1", incremental_operation=kafka.AlterConfigOpType.SET)
            ],
        )
        parts = kafka.NewPartitions(topic, 99)
        for finding, what, work in (
            ("kafka.read", "read", partial(_read, arena, topic)),
            ("kafka.describe", "describe the configuration of", _all(client.describe_configs, [config])),
            ("kafka.alter", "alter", _all(client.incremental_alter_configs, [altered], validate_only=True)),
            ("kafka.alter", "add partitions to", _all(client.create_partitions, [parts], validate_only=True)),
            ("kafka.delete", "delete records of", partial(_delete_records, client, topic)),
        ):
            await _try(tried, finding, f"{what} {topic}", work)
    for topic in (names.topic(victim, "ai.tasks"), names.topic(victim, "notification.requests"), f"{victim}.nothing"):
        await _try(tried, "kafka.write", f"write to {topic}", partial(_write, arena, topic))
    for topic in (f"{victim}.nothing", "nothing"):
        await _try(tried, "kafka.delete", f"delete {topic}", _all(client.delete_topics, [topic]))
    for topic in (f"{victim}.stolen", mine, f"{mine}x.stolen", f"{mine}-stolen", "stolen", "cdc.stolen", victim):
        create = _all(client.create_topics, [kafka.NewTopic(topic, 1, 1)], validate_only=True)
        await _try(tried, "kafka.create", f"create {topic}", create)


def _read(arena: Arena, topic: str) -> Any:
    """Every partition from the start, for a second; raises the refusal."""
    from confluent_kafka import Consumer, KafkaException, TopicPartition

    consumer = Consumer(own(arena, **{"group.id": f"{arena.stranger.cell_id}.isolation", "enable.auto.commit": False}))
    try:
        found: list[Any] = [consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=5)]
        consumer.assign([TopicPartition(topic, number, 0) for number in range(3)])
        for message in consumer.consume(50, timeout=3):
            if message.error():
                raise KafkaException(message.error())
            found.append((message.key(), message.value(), message.headers()))
        return found
    finally:
        consumer.close()


def _write(arena: Arena, topic: str) -> Any:
    from confluent_kafka import KafkaException, Producer

    results: list[Any] = []
    producer = Producer(own(arena, **{"message.timeout.ms": 5000}))
    producer.produce(topic, b"stolen", on_delivery=lambda error, message: results.append(error or message.offset()))
    producer.flush(8)
    if results and hasattr(results[0], "name"):
        raise KafkaException(results[0])
    return results


def _delete_records(client: Any, topic: str) -> Any:
    from confluent_kafka import TopicPartition

    return _all(client.delete_records, [TopicPartition(topic, 0, 0)])()


@attack("kafka.groups", surface="kafka", needs=("stranger",))
async def groups(arena: Arena, tried: Recorder) -> None:
    """Join, describe, commit for, delete the victim's consumer groups; transactions under its name."""
    from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
    from confluent_kafka import admin as kafka

    client = kafka.AdminClient(own(arena))
    listed = (await asyncio.to_thread(lambda: client.list_consumer_groups().result(_SECONDS))).valid
    seen = sorted(group.group_id for group in listed)
    foreign = [group for group in seen if not group.startswith(f"{arena.stranger.cell_id}.")]
    reason = "groups of others are visible"
    tried.expect(not foreign, "list all groups", seen, by=FOREIGN_CELL, finding="kafka.groups", reason=reason)
    topic = names.topic(arena.victim.cell_id, "document.events")
    for group in (names.consumer_group(arena.victim.cell_id, "indexing"), "analytics", "connect-voicehelper"):
        offsets = [ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 0)])]
        listing = [ConsumerGroupTopicPartitions(group)]
        for what, work in (
            ("describe", _all(client.describe_consumer_groups, [group])),
            ("list offsets of", _all(client.list_consumer_group_offsets, listing)),
            ("set offsets of", _all(client.alter_consumer_group_offsets, offsets)),
            ("delete", _all(client.delete_consumer_groups, [f"{group}.nothing"])),
            ("join", partial(_join, arena, group)),
        ):
            await _try(tried, "kafka.groups", f"{what} group {group}", work)
    for name in (f"{arena.victim.cell_id}.tx", "stolen"):
        what = f"begin a transaction as {name}"
        await _try(tried, "kafka.transactions", what, partial(_transaction, arena, name))


def _join(arena: Arena, group: str) -> Any:
    from confluent_kafka import Consumer, KafkaException

    consumer = Consumer(own(arena, **{"group.id": group, "enable.auto.commit": False}))
    try:
        consumer.subscribe([names.topic(arena.stranger.cell_id, "ai.results")])
        for message in consumer.consume(1, timeout=4):
            if message.error():
                raise KafkaException(message.error())
        return [f"joined, assigned {len(consumer.assignment())} partitions"]
    finally:
        consumer.close()


def _transaction(arena: Arena, name: str) -> Any:
    from confluent_kafka import Producer

    silent = logging.getLogger("voicehelper.isolation.kafka")
    silent.propagate, silent.disabled = False, True  # a refusal is a fatal error to the client, said on stderr
    Producer(own(arena, **{"transactional.id": name}), logger=silent).init_transactions(8)
    return "a producer with that id"


@attack("kafka.cluster", surface="kafka", needs=("stranger",))
async def cluster(arena: Arena, tried: Recorder) -> None:
    """ACLs, users and settings of the cluster as another cell's user."""
    from confluent_kafka import admin as kafka

    user = names.kafka_user(arena.stranger.cell_id, arena.stranger.account)
    client = kafka.AdminClient(own(arena))
    allow = kafka.AclPermissionType.ALLOW
    everything = kafka.AclBinding(
        kafka.ResourceType.TOPIC, "*", kafka.ResourcePatternType.LITERAL, f"User:{user}", "*",
        kafka.AclOperation.ALL, allow,
    )  # fmt: skip
    nobody = kafka.AclBindingFilter(
        kafka.ResourceType.TOPIC, "nothing", kafka.ResourcePatternType.LITERAL, "User:nobody", "*",
        kafka.AclOperation.ALL, allow,
    )  # fmt: skip
    info = kafka.ScramCredentialInfo(kafka.ScramMechanism.SCRAM_SHA_256, 4096)
    stolen = kafka.UserScramCredentialUpsertion("isolation-nobody", info, b"stolen")
    gone = kafka.UserScramCredentialDeletion("isolation-nobody", kafka.ScramMechanism.SCRAM_SHA_256)
    broker = kafka.ConfigResource(kafka.ConfigResource.Type.BROKER, "1")
    changed = kafka.ConfigResource(
        kafka.ConfigResource.Type.BROKER,
        "1",
        incremental_configs=[
            kafka.ConfigEntry("log.retention.ms", "1", incremental_operation=kafka.AlterConfigOpType.SET)
        ],
    )
    for finding, what, work in (
        ("kafka.acls", "give oneself an ACL on all topics", _all(client.create_acls, [everything])),
        ("kafka.acls", "delete ACLs", _all(client.delete_acls, [nobody])),
        ("kafka.users", "make a user", _all(client.alter_user_scram_credentials, [stolen])),
        ("kafka.users", "remove a user", _all(client.alter_user_scram_credentials, [gone])),
        # Looking at users is left out: a refusal makes librdkafka's binding free memory twice, and the process dies.
        ("kafka.settings", "read the broker's settings", _all(client.describe_configs, [broker])),
        ("kafka.settings", "change them", _all(client.incremental_alter_configs, [changed], validate_only=True)),
    ):
        await _try(tried, finding, what, work)


@attack("kafka.login", surface="kafka", needs=("stranger",))
async def login(arena: Arena, tried: Recorder) -> None:
    """Without credentials, with wrong ones, with another mechanism, as other users, on the controller's listener."""
    stranger, victims = arena.stranger, arena.victim
    password = stranger.store_password(cell_bundle.KAFKA)
    mine, victim = (names.kafka_user(party.cell_id, party.account) for party in (stranger, victims))
    closed = [names.kafka_user(party.cell_id, cell_bundle.other(party.account)) for party in (stranger, victims)]
    ports = arena.home.ports()
    controller = f"127.0.0.1:{ports['kafka-controller']}" if "kafka-controller" in ports else ""
    plain = {"sasl.mechanisms": "PLAIN"}
    attempts: list[tuple[Attacker, str, dict[str, Any]]] = [
        (NOBODY, "anonymously", {"bootstrap.servers": arena.places.kafka, "security.protocol": "PLAINTEXT"}),
        (NOBODY, "as the victim with a wrong password", access(arena, victim, "wrong")),
        (FOREIGN_CELL, "as the victim with one's own password", access(arena, victim, password)),
        *(
            (FOREIGN_CELL, f"as {user} with one's own password", access(arena, user, password))
            for user in ("admin", "connect", "analytics", "controller", "", *closed)
        ),
        (FOREIGN_CELL, "with PLAIN instead of SCRAM", access(arena, mine, password, **plain)),
        (FOREIGN_CELL, "as admin with PLAIN", access(arena, "admin", password, **plain)),
    ]
    if controller:
        at = {"bootstrap.servers": controller}
        attempts += [
            (NOBODY, "anonymously at the controller", {**at, "security.protocol": "PLAINTEXT"}),
            (FOREIGN_CELL, "at the controller", {**access(arena, mine, password), **at}),
            (FOREIGN_CELL, "at the controller with PLAIN", {**access(arena, mine, password, **plain), **at}),
            (FOREIGN_CELL, "as controller with PLAIN", {**access(arena, "controller", password, **plain), **at}),
        ]
    answers = await asyncio.gather(*(asyncio.to_thread(_login, settings) for _, _, settings in attempts))
    for (by, what, _), (inside, answer) in zip(attempts, answers, strict=True):
        reason = "the connection was accepted"
        tried.expect(not inside, f"log in {what}", answer, by=by, finding="kafka.login", reason=reason)


def _login(settings: dict[str, Any]) -> tuple[bool, str]:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    said: list[str] = []
    settings = {**settings, "log_level": 0, "error_cb": lambda error: said.append(error.str())}
    try:
        found = AdminClient(settings).list_topics(timeout=4)
    except KafkaException as error:
        return False, "; ".join(dict.fromkeys(said)) or str(error)
    return True, f"{len(found.topics)} topics"
