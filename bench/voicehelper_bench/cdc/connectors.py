"""The product's connector, and the peer: the same one with Debezium's own polling, on a slot and topics of its own."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
from confluent_kafka.admin import AdminClient, NewTopic
from voicehelper_analytics.cdc import connector_config
from voicehelper_embedded.components.connect import CONNECTOR, REST_USER
from voicehelper_embedded.context import DATABASE
from voicehelper_embedded.throwaway import Platform

_PEER = "bench-default-polling-"
"""What its name begins with; the rest is new each time, since Connect keeps the offsets of a name."""
_SLOT = "bench_default_polling"
_PREFIX = "bench."
_OURS = ("poll.interval.ms", "max.batch.size", "max.queue.size", "producer.override.linger.ms")
"""What the product sets and the peer leaves to Debezium and Kafka (500 ms, 2,048, 8,192, 5 ms)."""
_WAIT_SECONDS = 90


class Connectors:
    """Connect's REST API."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self.peer_name = f"{_PEER}{uuid.uuid4().hex[:8]}"
        self._http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{platform.ports['connect']}",
            auth=(REST_USER, platform.secrets["connect_rest_password"]),
            trust_env=False,
            timeout=30,
        )

    async def close(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def pause(self, name: str) -> None:
        """Stop reading; the slot keeps its place. Returns once it is so."""
        (await self._http.put(f"/connectors/{name}/pause")).raise_for_status()
        await self._wait(name, "PAUSED")

    async def resume(self, name: str) -> None:
        """Read on; does not wait."""
        (await self._http.put(f"/connectors/{name}/resume")).raise_for_status()

    async def running(self, name: str) -> None:
        """Wait until it reads."""
        await self._wait(name, "RUNNING")

    async def _wait(self, name: str, wanted: str) -> None:
        status: dict[str, Any] = {}
        for _ in range(_WAIT_SECONDS * 5):
            answer = await self._http.get(f"/connectors/{name}/status")
            status = answer.json() if answer.status_code == 200 else {}
            states = [task["state"] for task in status.get("tasks", [])]
            if states and set(states) == {wanted}:
                return
            await asyncio.sleep(0.2)
        raise AssertionError(f"the connector {name} is not {wanted.lower()}: {status}")

    @asynccontextmanager
    async def peer(self, topic: str, partitions: int) -> AsyncIterator[str]:
        """The peer, paused, with its copy of ``topic``; gone afterwards, with its slot and topics."""
        copy = f"{_PREFIX}{topic}"
        admin = AdminClient(self._platform.kafka_admin)
        await self._remove(admin)  # of a run that was killed
        for future in admin.create_topics([NewTopic(copy, partitions, 1)]).values():
            await asyncio.to_thread(future.result, 30)
        try:
            (await self._http.put(f"/connectors/{self.peer_name}/config", json=await self._config())).raise_for_status()
            await self.running(self.peer_name)
            await self.pause(self.peer_name)
            yield copy
        finally:
            await self._remove(admin)

    async def _remove(self, admin: Any) -> None:
        for name in (await self._http.get("/connectors")).json():
            if name.startswith(_PEER):
                await self._http.delete(f"/connectors/{name}")
        await _drop_slot(self._platform)
        names = [name for name in admin.list_topics(timeout=10).topics if name.startswith(_PREFIX)]
        if names:
            for future in admin.delete_topics(names).values():
                await asyncio.to_thread(future.result, 30)
            while any(name.startswith(_PREFIX) for name in admin.list_topics(timeout=10).topics):
                await asyncio.sleep(0.2)

    async def _config(self) -> dict[str, str]:
        current: dict[str, str] = (await self._http.get(f"/connectors/{CONNECTOR}/config")).json()
        made = connector_config(
            host="127.0.0.1", port=self._platform.ports["postgres"], database=DATABASE, user="debezium",
            password=current["database.password"], slot=_SLOT,
        )  # fmt: skip
        made["snapshot.mode"] = "no_data"
        made["transforms.outbox.route.topic.replacement"] = f"{_PREFIX}${{routedByValue}}"
        made["transforms.route.replacement"] = f"{_PREFIX}cdc.$1.$2"
        made["topic.prefix"] = "cdc"
        return {key: value for key, value in made.items() if key not in _OURS}


async def _drop_slot(platform: Platform) -> None:
    """Once the connector has let go of it."""
    connection = await asyncpg.connect(platform.postgres_dsn)
    try:
        for _ in range(100):
            with contextlib.suppress(asyncpg.ObjectInUseError):
                await connection.execute(
                    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1", _SLOT
                )
                return
            await asyncio.sleep(0.2)
        raise AssertionError(f"the slot {_SLOT} is still in use")
    finally:
        await connection.close()
