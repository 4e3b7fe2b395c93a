"""Reads one of the cell's own topics in a group, each event in the context of its tenant."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from prometheus_client import Counter
from voicehelper_core import context, faults, names, trace
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import AppError, PermissionDenied, Unavailable
from voicehelper_core.events import Envelope, EventError
from voicehelper_core.kafka import scram
from voicehelper_core.log import get_logger

from voicehelper_cell.dead_letters import DeadLetters
from voicehelper_cell.placements import Placements
from voicehelper_cell.settings import CellSettings

log = get_logger(__name__)
DEAD = Counter("events_dead_letters", "Events that could not be handled, kept as dead letters", ["topic", "reason"])
_TRIES = 5
_PAUSES = (0.1, 0.3, 1.0, 3.0)
Handler = Callable[[TenantContext, Envelope], Awaitable[None]]


class EventConsumer:
    """Commits after handling, so an event comes at least once; a handler must bear it twice."""

    def __init__(
        self, settings: CellSettings, topic: str, service: str, *, placements: Placements, handler: Handler
    ) -> None:
        self._settings, self._placements, self._handler = settings, placements, handler
        self._dead = DeadLetters(settings)
        self._topic = names.topic(settings.cell_id, topic)
        self._group = names.consumer_group(settings.cell_id, service)
        self._reading: AIOKafkaConsumer | None = None
        self.reason: str | None = "not connected to Kafka yet"

    @property
    def leads(self) -> bool:
        """Whether this process reads the topic's first partition, as one process of the group does at a time.

        One that Kafka has lost notices when it asks for more, so for some seconds two may believe it.
        """
        return self._reading is not None and TopicPartition(self._topic, 0) in self._reading.assignment()

    async def run(self) -> None:
        """Until cancelled; connects again when Kafka was away."""
        while True:
            consumer = self._consumer()
            try:
                await consumer.start()
                self.reason, self._reading = None, consumer
                async for record in consumer:
                    await self._one(record)
                    await consumer.commit()
                    await faults.point("consumer.event.recorded")
            except (KafkaError, OSError) as error:
                self.reason = f"waiting for Kafka ({type(error).__name__})"
                log.warning("consumer interrupted", topic=self._topic, error_type=type(error).__name__)
            finally:
                self._reading = None
                await consumer.stop()
                await self._dead.close()
            await asyncio.sleep(0.5)

    def _consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            self._topic,
            **scram(self._settings.kafka_bootstrap, self._settings.kafka_user, self._settings.kafka_password),
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
        )

    async def _one(self, record: Any) -> None:
        try:
            envelope = Envelope.parse(record.value or b"")
            who = await self._admitted(envelope)
        except (EventError, PermissionDenied) as error:
            await self._bury(record, error, str(error))
            return
        if who is None:
            return
        with trace.use(trace.child_of(envelope.metadata.get("traceparent"))), context.use(who):
            await faults.point("consumer.event.before")
            await self._handle(who, envelope, record)
            await faults.point("consumer.event.effect")

    async def _admitted(self, envelope: Envelope) -> TenantContext | None:
        """Waits while nobody can tell which tenants are here. Raises PermissionDenied."""
        while True:
            try:
                return await self._placements.admit_event(envelope)
            except Unavailable as error:
                log.warning("event waits", event_type=envelope.event_type, reason=error.detail)
                await asyncio.sleep(1)

    async def _bury(self, record: Any, error: Exception, reason: str) -> None:
        """Raises KafkaError when the letter cannot be written: the event is taken again then."""
        await self._dead.keep(record, reason)
        DEAD.labels(self._topic.partition(".")[2], type(error).__name__).inc()
        log.error(
            "event became a dead letter", topic=self._topic, partition=record.partition, offset=record.offset,
            error_type=type(error).__name__, reason=reason[:300],
        )  # fmt: skip

    async def _handle(self, who: TenantContext, envelope: Envelope, record: Any) -> None:
        """Outages of stores are waited out; an event that fails for itself is given up, loudly, after some tries."""
        tries = 0
        while True:
            try:
                await self._handler(who, envelope)
            except Unavailable as error:
                log.warning("event waits", event_type=envelope.event_type, reason=error.detail)
                await asyncio.sleep(1)
            except Exception as error:
                tries += 1
                if tries >= _TRIES:
                    log.error("event given up", event_id=str(envelope.event_id), exc_info=error)
                    await self._bury(record, error, f"{type(error).__name__}: {error}")
                    return
                expected = isinstance(error, AppError)
                log.warning("event failed", event_id=str(envelope.event_id), expected=expected, error=str(error)[:300])
                await asyncio.sleep(_PAUSES[min(tries, len(_PAUSES)) - 1])
            else:
                return
