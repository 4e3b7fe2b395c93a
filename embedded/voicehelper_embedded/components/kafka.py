"""Kafka in KRaft mode with authentication and ACLs on both listeners."""

from __future__ import annotations

import asyncio
import base64
import uuid
from pathlib import Path
from typing import Any

from voicehelper_embedded import jvm
from voicehelper_embedded.components.base import BaseComponent
from voicehelper_embedded.context import HOST
from voicehelper_embedded.supervisor.process import Launch

_JVM_WAIT_SECONDS = 900
SNAPSHOT_SECONDS = 15
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"


async def jvm_launch(
    component: BaseComponent, main: str, config: Path, *, text: str, heap: str, jaas: Path | None = None
) -> Launch:
    """A JVM process, once Maven has brought its libraries."""
    home = component.context.home
    for _ in range(_JVM_WAIT_SECONDS * 2):
        if jvm.is_ready(home):
            break
        await asyncio.sleep(0.5)
    else:
        raise RuntimeError("the JVM libraries are not there: run `voicehelper up`")
    log = component.context.write("log4j2.xml", jvm.LOG4J)
    temporary = component.context.own(home.data(component.name) / "tmp")
    return Launch(
        argv=jvm.command(home, main, str(config), heap=heap, log=log, temporary=temporary, jaas=jaas),
        environment={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
        user=home.user,
        folder=home.data(component.name),
        stop_seconds=15,
        files={"config": text},
    )


class Kafka(BaseComponent):
    """One node, broker and controller."""

    name = "kafka"
    port_name = "kafka"
    start_seconds = 180.0  # of a busy machine: a start that is ended begins anew, and takes longer still

    async def prepare(self) -> Launch:
        data = self.context.own_data(self.name)
        text = self._properties(data)
        config = self.context.write("kafka.properties", text)
        launch = await jvm_launch(self, "kafka.Kafka", config, text=text, heap="320m")
        if not (data / "log" / "meta.properties").exists():
            await self._format(launch, config)
        return launch

    async def _format(self, launch: Launch, config: Path) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        log = self.context.home.run / "log4j2.xml"
        arguments = ("format", "--standalone", "-t", cluster, "-c", str(config))
        temporary = self.context.home.data(self.name) / "tmp"
        tool = "kafka.tools.StorageTool"
        argv = jvm.command(self.context.home, tool, *arguments, heap="128m", log=log, temporary=temporary)
        await self.context.run_once(Launch(argv, launch.environment, launch.user, launch.folder))

    def _properties(self, data: Path) -> str:
        ports, secrets = self.context.ports, self.context.secrets
        client, controller = f"{HOST}:{ports['kafka']}", f"{HOST}:{ports['kafka-controller']}"
        admin, quorum = secrets["kafka_admin_password"], secrets["kafka_controller_password"]
        # The admin's PLAIN password lets the first connection make the SCRAM users; nobody else has one.
        return "\n".join(
            (
                "process.roles=broker,controller",
                "node.id=1",
                f"controller.quorum.bootstrap.servers={controller}",
                f"listeners=CLIENT://{client},CONTROLLER://{controller}",
                f"advertised.listeners=CLIENT://{client},CONTROLLER://{controller}",
                "listener.security.protocol.map=CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
                "controller.listener.names=CONTROLLER",
                "inter.broker.listener.name=CLIENT",
                "sasl.enabled.mechanisms=SCRAM-SHA-256,PLAIN",
                "sasl.mechanism.inter.broker.protocol=PLAIN",
                "sasl.mechanism.controller.protocol=PLAIN",
                "listener.name.controller.sasl.enabled.mechanisms=PLAIN",
                f'listener.name.controller.plain.sasl.jaas.config={_PLAIN} username="controller"'
                f' password="{quorum}" user_controller="{quorum}";',
                f'listener.name.client.plain.sasl.jaas.config={_PLAIN} username="admin"'
                f' password="{admin}" user_admin="{admin}";',
                "listener.name.client.scram-sha-256.sasl.jaas.config="
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
                "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users=User:admin;User:controller;User:connect",
                "allow.everyone.if.no.acl.found=false",
                "auto.create.topics.enable=false",
                f"log.dirs={data / 'log'}",
                "log.retention.hours=168",
                "offsets.topic.replication.factor=1",
                "offsets.topic.num.partitions=4",
                "transaction.state.log.replication.factor=1",
                "transaction.state.log.num.partitions=4",
                "transaction.state.log.min.isr=1",
                "share.coordinator.state.topic.replication.factor=1",
                "share.coordinator.state.topic.min.isr=1",
                "group.initial.rebalance.delay.ms=0",
                "message.max.bytes=8388608",
                "replica.fetch.max.bytes=8388608",
                "num.network.threads=2",
                "num.io.threads=2",
                "log.cleaner.dedupe.buffer.size=16777216",
                # ADR 16: a broker that replays the removal of a user before it knows of any loses all of them.
                f"metadata.log.max.snapshot.interval.ms={SNAPSHOT_SECONDS * 1000}",
                "metadata.max.retention.ms=3600000",
                "",
            )
        )

    def _admin(self) -> Any:
        from confluent_kafka.admin import AdminClient

        return AdminClient({**self.context.kafka_admin(), "socket.timeout.ms": 4000})

    async def probe(self) -> str | None:
        _, writer = await asyncio.open_connection(HOST, self.port)
        writer.close()
        if self.ready_once:
            return None
        await asyncio.to_thread(lambda: self._admin().list_topics(timeout=4))
        self.ready_once = True
        return None

    ready_once = False  # the first probe speaks the protocol; later ones only connect, which costs nothing

    async def setup(self) -> None:
        self.ready_once = False
        await asyncio.to_thread(self._users)

    def _users(self) -> None:
        """At every start, since a broker may have lost them (ADR 16); the operator then repairs those of the cells."""
        from confluent_kafka import admin as kafka

        users = {name: self.context.secrets[f"kafka_{name}_password"] for name in ("admin", "connect", "analytics")}
        client = self._admin()
        info = kafka.ScramCredentialInfo(kafka.ScramMechanism.SCRAM_SHA_256, 4096)
        changes = [kafka.UserScramCredentialUpsertion(user, info, word.encode()) for user, word in users.items()]
        for future in client.alter_user_scram_credentials(changes).values():
            future.result(30)
        allow = kafka.AclPermissionType.ALLOW
        bindings = [
            kafka.AclBinding(kind, name, kafka.ResourcePatternType.LITERAL, "User:analytics", "*", operation, allow)
            for kind, name, operation in (
                (kafka.ResourceType.TOPIC, "*", kafka.AclOperation.READ),
                (kafka.ResourceType.TOPIC, "*", kafka.AclOperation.DESCRIBE),
                (kafka.ResourceType.BROKER, "kafka-cluster", kafka.AclOperation.DESCRIBE),
            )
        ]
        for future in client.create_acls(bindings).values():
            future.result(30)
