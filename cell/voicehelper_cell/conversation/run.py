"""One answer in the making: what it is made for, what came of it so far, who listens."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from voicehelper_core import trace
from voicehelper_core.context import TenantContext
from voicehelper_core.grpc_service import token_of_call

from voicehelper_cell.conversation import shapes
from voicehelper_cell.conversation.models import CITATION, DELTA, FINAL, Event, Message


@dataclass(slots=True)
class Run:
    """An answer in the making."""

    who: TenantContext
    token: str | None
    span: trace.Span | None
    conversation_id: uuid.UUID
    message_id: uuid.UUID
    content: str
    history: Sequence[Message]
    events: list[Event] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    answer: list[str] = field(default_factory=list)
    citations: list[dict[str, Any]] = field(default_factory=list)
    usage: Any = None
    begun: float = field(default_factory=time.monotonic)
    last_id: int = 0
    base: int = 0
    """The last id of an earlier attempt; ids rise over attempts."""

    @classmethod
    def of(
        cls,
        who: TenantContext,
        conversation_id: uuid.UUID,
        message_id: uuid.UUID,
        *,
        content: str,
        history: Sequence[Message],
    ) -> Run:
        """A run on behalf of the running call."""
        return cls(who, token_of_call.get(), trace.current(), conversation_id, message_id, content, history)

    @property
    def ended(self) -> bool:
        """Whether its last event is there."""
        return bool(self.events) and self.events[-1].type in FINAL

    def begin(self, started: Event) -> None:
        """Its first event is written already."""
        self.events, self.last_id = [started], started.id

    def next(self, kind: str, body: dict[str, Any]) -> Event:
        """A new event, with the next id."""
        self.last_id += 1
        return Event(self.last_id, kind, body)

    def take(self, chunk: Any) -> Event | None:
        """The event of a chunk of the answer; None for the usage, which is kept."""
        match chunk.WhichOneof("part"):
            case "delta":
                self.answer.append(chunk.delta)
                return self.next(DELTA, {"delta": chunk.delta})
            case "citation":
                citation = shapes.citation(chunk.citation)
                self.citations.append(citation)
                return self.next(CITATION, {"citation": citation})
            case "usage":
                self.usage = chunk.usage
        return None

    async def tell(self, events: list[Event]) -> None:
        """Let the listeners have events that are written."""
        async with self.news:
            self.events += events
            self.news.notify_all()

    async def live(self, after: int) -> AsyncIterator[Event]:
        """Events after an id, as they come, to the last one."""
        place = 0
        while True:
            while place < len(self.events):
                event = self.events[place]
                place += 1
                if event.id > after:
                    yield event
            if self.ended:
                return
            async with self.news:
                while place >= len(self.events) and not self.ended:
                    await self.news.wait()
