"""Kafka Connect with the one Debezium connector of the Postgres server."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from voicehelper_analytics.cdc import connector_config

from voicehelper_embedded import jvm
from voicehelper_embedded.components.base import BaseComponent
from voicehelper_embedded.components.kafka import jvm_launch
from voicehelper_embedded.context import DATABASE, HOST
from voicehelper_embedded.supervisor.process import Launch

CONNECTOR = "voicehelper"
_CONNECTOR_SECONDS = 60


class Connect(BaseComponent):
    """A worker of its own; the connector's state lives in Kafka."""

    name = "connect"
    requires: tuple[str, ...] = ("postgres", "kafka")
    port_name = "connect"
    start_seconds = 120.0

    async def prepare(self) -> Launch:
        self.context.own_data(self.name)
        text = self._properties()
        config = self.context.write("connect.properties", text)
        return await jvm_launch(self, "org.apache.kafka.connect.cli.ConnectDistributed", config, text, "256m")

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
            "plugin.path": str(jvm.folder(self.context.home) / "debezium"),
            "plugin.discovery": "service_load",
            "producer.max.request.size": "8388608",
            "scheduled.rebalance.max.delay.ms": "0",
        }
        for prefix in ("", "producer.", "consumer.", "admin."):
            lines |= {f"{prefix}{key}": value for key, value in access.items()}
        return "".join(f"{key}={value}\n" for key, value in lines.items())

    async def _call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.context.url("connect"), trust_env=False, timeout=10) as client:
            return await client.request(method, path, **arguments)

    async def probe(self) -> str | None:
        answer = await self._call("GET", "/connectors")
        if answer.status_code != 200:
            return f"answers {answer.status_code}"
        if CONNECTOR not in answer.json():
            return None  # setup makes it
        return await self._connector()

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
            password=self.context.secrets["debezium_password"],
        )
        current = await self._call("GET", f"/connectors/{CONNECTOR}/config")
        if current.status_code != 200 or {k: v for k, v in current.json().items() if k != "name"} != config:
            answer = await self._call("PUT", f"/connectors/{CONNECTOR}/config", json=config)
            if answer.status_code >= 300:
                raise RuntimeError(f"Connect refused the connector: {answer.text[:500]}")
        for _ in range(_CONNECTOR_SECONDS * 5):
            if (await self.probe()) is None:
                return
            await asyncio.sleep(0.2)
        raise RuntimeError("the connector does not run")
