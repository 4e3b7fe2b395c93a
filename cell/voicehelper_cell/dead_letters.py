"""Where events go that cannot be handled: ``<cell>.dead.letters``, with the reason, so that nothing is lost in silence.

A letter carries the event as it came and says in its headers where it stood and what was wrong with it. ``voicehelper
events dead`` lists letters and ``voicehelper events replay`` sends one back to its topic.
"""

from __future__ import annotations

from typing import Any

from aiokafka import AIOKafkaProducer
from voicehelper_core import names
from voicehelper_core.kafka import scram

from voicehelper_cell.settings import CellSettings

LARGEST = 900_000
"""Bytes of a value that a letter carries; a larger one stays where it stood, as long as its topic keeps it."""


class DeadLetters:
    """Connects when the first letter is written. Raises what aiokafka raises: the event is taken again then."""

    def __init__(self, settings: CellSettings) -> None:
        self._settings = settings
        self._topic = names.topic(settings.cell_id, names.DEAD_LETTERS)
        self._producer: AIOKafkaProducer | None = None

    async def keep(self, record: Any, reason: str) -> None:
        """Write a letter about a record of the cell's; returns when Kafka has it."""
        producer = await self._connected()
        where = {"topic": record.topic, "partition": record.partition, "offset": record.offset, "reason": reason[:1000]}
        value = record.value if len(record.value or b"") <= LARGEST else None
        headers = [(f"dead-{name}", str(fact).encode()) for name, fact in where.items()]
        await producer.send_and_wait(self._topic, value, key=record.key, headers=headers)

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                **scram(self._settings.kafka_bootstrap, self._settings.kafka_user, self._settings.kafka_password),
                acks="all",
                request_timeout_ms=10_000,
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer

    async def close(self) -> None:
        """Disconnect."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()
