"""Kafka Connect with the one Debezium connector of the Postgres server."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import httpx
from voicehelper_analytics.cdc import connector_config, drop_if_lost, is_followed
from voicehelper_core.log import get_logger

from voicehelper_embedded import jvm
from voicehelper_embedded.components.base import BaseComponent
from voicehelper_embedded.components.kafka import jvm_launch
from voicehelper_embedded.context import DATABASE, HOST
from voicehelper_embedded.supervisor.process import Launch

log = get_logger(__name__)
CONNECTOR = "voicehelper"
REST_USER = "voicehelper"
_CONNECTOR_SECONDS = 60
_DATABASE_FILE = "connect-database.properties"
_LOGIN = "org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule"


class Connect(BaseComponent):
    """A worker of its own; the connector's state lives in Kafka.

    Whoever reaches its REST API could read every cell's rows through a connector of their own, so it asks for a
    password, and the connector's configuration (which the API and a topic show) names the file of the database's.
    """

    name = "connect"
    requires: tuple[str, ...] = ("postgres", "kafka")
    port_name = "connect"
    start_seconds = 240.0

    async def prepare(self) -> Launch:
        self.set_up = False
        self.context.own_data(self.name)
        text = self._properties()
        config = self.context.write("connect.properties", text)
        secrets = self.context.secrets
        self.context.write(_DATABASE_FILE, f"password={secrets['debezium_password']}\n")
        users = self.context.write("connect-users.properties", f"{REST_USER}={secrets['connect_rest_password']}\n")
        jaas = self.context.write("connect.jaas", f'KafkaConnect {{ {_LOGIN} required file="{users}"; }};\n')
        main = "org.apache.kafka.connect.cli.ConnectDistributed"
        return await jvm_launch(self, main, config, text=text, heap="256m", jaas=jaas)

    def _properties(self) -> str:
        password = self.context.secrets["kafka_connect_password"]
        access = {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-256",
            "sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required"
            f' username="connect" password="{password}";',
        }
        lines = {
            "bootstrap.servers": self.context.at("kafka"),
            "group.id": "connect",
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "key.converter.schemas.enable": "false",
            "value.converter.schemas.enable": "false",
            "config.storage.topic": "_connect_config",
            "offset.storage.topic": "_connect_offset",
            "status.storage.topic": "_connect_status",
            "config.storage.replication.factor": "1",
            "offset.storage.replication.factor": "1",
            "status.storage.replication.factor": "1",
            "offset.storage.partitions": "1",
            "status.storage.partitions": "1",
            "offset.flush.interval.ms": "1000",
            "listeners": f"http://{HOST}:{self.port}",
            "rest.advertised.host.name": HOST,
            "rest.extension.classes": "org.apache.kafka.connect.rest.basic.auth.extension"
            ".BasicAuthSecurityRestExtension",
            "admin.listeners": "",  # its loggers
            "config.providers": "file",
            "config.providers.file.class": "org.apache.kafka.common.config.provider.FileConfigProvider",
            "config.providers.file.param.allowed.paths": str(self.context.home.run / _DATABASE_FILE),
            "plugin.path": str(jvm.folder(self.context.home) / "debezium"),
            "plugin.discovery": "service_load",
            "producer.max.request.size": "8388608",
            "scheduled.rebalance.max.delay.ms": "0",
        }
        for prefix in ("", "producer.", "consumer.", "admin."):
            lines |= {f"{prefix}{key}": value for key, value in access.items()}
        return "".join(f"{key}={value}\n" for key, value in lines.items())

    async def _call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        access = (REST_USER, self.context.secrets["connect_rest_password"])
        url = self.context.url("connect")
        async with httpx.AsyncClient(base_url=url, auth=access, trust_env=False, timeout=10) as client:
            return await client.request(method, path, **arguments)

    async def probe(self) -> str | None:
        answer = await self._call("GET", "/connectors")
        if answer.status_code != 200:
            return f"answers {answer.status_code}"
        if CONNECTOR not in answer.json():
            return None  # setup makes it
        # Both at all events: a slot that was given up goes, and a connector that failed starts again, which else would
        # never follow the log.
        slot, connector = await self._slot(), await self._connector()
        return slot or connector

    async def _slot(self) -> str | None:
        """None while the connector follows the log; a slot that Postgres has given up is removed: see ``cdc.slot``."""
        try:
            connection = await asyncpg.connect(self.context.dsn("postgres"), timeout=3, command_timeout=3)
        except (OSError, asyncpg.PostgresError, TimeoutError) as error:
            return f"Postgres does not answer ({type(error).__name__})" if self.set_up else None
        try:
            if await drop_if_lost(connection):
                log.error("the replication slot was lost: the log reached its ceiling while nobody read it")
                return "the replication slot was lost: reads the tables, so that no event is missing"
            if self.set_up and not await is_followed(connection):
                return "reads the tables, or waits: it does not follow the log yet"
        finally:
            await connection.close()
        return None

    set_up = False  # before, a long first snapshot must not look like a start that failed

    async def _connector(self) -> str | None:
        """None when it runs; a failed one is started again, with the reason in the log of Connect."""
        status = (await self._call("GET", f"/connectors/{CONNECTOR}/status")).json()
        states = [status.get("connector", {}).get("state", "?"), *(task["state"] for task in status.get("tasks", []))]
        if "FAILED" in states:
            path = f"/connectors/{CONNECTOR}/restart?includeTasks=true&onlyFailed=true"
            await self._call("POST", path)
        if len(states) < 2 or set(states) != {"RUNNING"}:
            return f"the connector is {', '.join(states).lower()}"
        return None

    async def setup(self) -> None:
        config = connector_config(
            host=HOST,
            port=self.context.ports["postgres"],
            database=DATABASE,
            user="debezium",
            password=f"${{file:{self.context.home.run / _DATABASE_FILE}:password}}",
        )
        current = await self._call("GET", f"/connectors/{CONNECTOR}/config")
        if current.status_code != 200 or {k: v for k, v in current.json().items() if k != "name"} != config:
            answer = await self._call("PUT", f"/connectors/{CONNECTOR}/config", json=config)
            if answer.status_code >= 300:
                raise RuntimeError(f"Connect refused the connector: {answer.text[:500]}")
        for _ in range(_CONNECTOR_SECONDS * 5):
            if (await self.probe()) is None:
                self.set_up = True
                return
            await asyncio.sleep(0.2)
        raise RuntimeError("the connector does not run")
