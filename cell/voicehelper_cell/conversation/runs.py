"""Carries out answers and keeps their events, so that a client that went away gets the rest once.

Events are written to Postgres before anybody sees them: what a client has seen can always be replayed from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import grpc
from voicehelper_core import context, errors, faults, trace
from voicehelper_core.context import TenantContext
from voicehelper_core.events import MessageSent
from voicehelper_core.gen.ai.v1 import orchestrator_pb2, orchestrator_pb2_grpc
from voicehelper_core.gen.rag.v1 import rag_pb2
from voicehelper_core.grpc_service import outgoing_metadata, token_of_call
from voicehelper_core.log import get_logger
from voicehelper_core.metrics import CONVERSATION_SUCCESS

from voicehelper_cell import outbox
from voicehelper_cell.conversation import repository, shapes
from voicehelper_cell.conversation.models import CITATION, COMPLETED, DELTA, ERROR, FINAL, STARTED, Event, Message
from voicehelper_cell.database import Database

log = get_logger(__name__)
_FLUSH_SECONDS = 0.03
_POLL_SECONDS = 0.2
_STOPPED = "the cell was restarted while it answered: ask again"


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
    last_id: int = 0

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

    def next(self, kind: str, body: dict[str, Any]) -> Event:
        """A new event, with the next id."""
        self.last_id += 1
        return Event(self.last_id, kind, body)


class Runs:
    """The answers of this process."""

    def __init__(self, database: Database, channel: Any, *, seconds: float) -> None:
        self._database, self._seconds = database, seconds
        self._orchestrator = orchestrator_pb2_grpc.OrchestratorStub(channel)
        self._runs: dict[uuid.UUID, Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._began = self._succeeded = 0
        self.worker = uuid.uuid4().hex
        """Tells this process's answers from those of processes that are gone."""

    def start(self, run: Run) -> None:
        """Answer in the background."""
        self._runs[run.message_id] = run
        task = asyncio.create_task(self._carry_out(run), name=f"run-{run.message_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, grace: float = 2.0) -> None:
        """Let answers end; those that do not are marked as failed."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def recover(self, tenants: Sequence[TenantContext]) -> int:
        """Mark what dead processes left behind as failed; how many."""
        count = 0
        for who in tenants:
            async with self._database.tenant(who) as connection:
                for message_id in await repository.abandoned(connection, self.worker):
                    number = await repository.last_event(connection, message_id) + 1
                    event = Event(number, ERROR, {"code": "interrupted", "detail": _STOPPED})
                    if await repository.fail(connection, message_id, _STOPPED):
                        await repository.add_events(connection, who, message_id, [event])
                        count += 1
        return count

    async def follow(self, who: TenantContext, message_id: uuid.UUID, after: int) -> AsyncIterator[Event]:
        """Events after an id: what is written, then what comes."""
        while True:
            run = self._runs.get(message_id)
            if run is not None and run.who.tenant_id == who.tenant_id:
                async for event in _live(run, after):
                    yield event
                return
            async with self._database.tenant(who) as connection:
                found = await repository.events(connection, message_id, after)
            for event in found:
                after = event.id
                yield event
                if event.type in FINAL:
                    return
            if not found:
                async with self._database.tenant(who) as connection:
                    message = await repository.message(connection, who, message_id)
                if message is None or message.status != "streaming":
                    return  # the caller has seen its last event
                await asyncio.sleep(_POLL_SECONDS)

    async def _carry_out(self, run: Run) -> None:
        reset = token_of_call.set(run.token)
        span = run.span or trace.child_of(None)
        self._began += 1
        try:
            with context.use(run.who), trace.use(span):
                await self._attempt(run)
        finally:
            token_of_call.reset(reset)
            self._runs.pop(run.message_id, None)
            CONVERSATION_SUCCESS.labels("chat").set(self._succeeded / self._began)

    async def _attempt(self, run: Run) -> None:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._seconds):
                await self._answer(run)
                await faults.point("conversation.answer.before-complete")
                await self._complete(run)
            self._succeeded += 1
            log.info(
                "answered", conversation_id=str(run.conversation_id), mode="chat", model=run.usage.model,
                duration_ms=round((time.perf_counter() - started) * 1e3, 1), citations=len(run.citations),
            )  # fmt: skip
        except asyncio.CancelledError:
            await asyncio.shield(self._fail(run, "interrupted", _STOPPED))
            raise
        except TimeoutError:
            await self._fail(run, "deadline-exceeded", f"the answer took longer than {self._seconds:g} s")
        except Exception as error:
            known = errors.expected(error)
            if known is None:
                log.error("answer failed", conversation_id=str(run.conversation_id), exc_info=error)
            code, detail = (known.code, known.detail) if known else ("internal", "something went wrong on our side")
            await self._fail(run, code, detail)

    async def _answer(self, run: Run) -> None:
        """The orchestrator's stream as events, gathered for a moment so that a write carries several."""
        request = orchestrator_pb2.ExecuteRequest(
            conversation_id=str(run.conversation_id),
            mode="chat",
            content=run.content,
            history=[rag_pb2.Turn(role=message.role, content=message.content) for message in run.history],
        )
        call = self._orchestrator.Execute(request, timeout=self._seconds, metadata=outgoing_metadata("conversation"))
        waiting = [run.next(STARTED, {"message": {"id": str(run.message_id), "role": "assistant"}})]
        flushed = 0.0
        try:
            async for chunk in call:
                if event := _event(run, chunk):
                    waiting.append(event)
                if waiting and time.monotonic() - flushed > _FLUSH_SECONDS:
                    await self._publish(run, waiting)
                    waiting, flushed = [], time.monotonic()
        finally:
            with contextlib.suppress(grpc.RpcError):
                call.cancel()
        await self._publish(run, waiting)

    async def _publish(self, run: Run, events: list[Event]) -> None:
        if not events:
            return
        async with self._database.tenant(run.who) as connection:
            await repository.add_events(connection, run.who, run.message_id, events)
        await _tell(run, events)

    async def _complete(self, run: Run) -> None:
        """Answer, event for the world and last event in one transaction, before anybody hears of it."""
        usage = run.usage
        if usage is None:
            raise errors.Unavailable("the model ended without an answer: ask again")
        tokens = usage.prompt_tokens + usage.completion_tokens
        async with self._database.tenant(run.who) as connection:
            message = await repository.complete(
                connection, run.message_id, content="".join(run.answer), citations=run.citations, model=usage.model,
                tokens_used=tokens, cost_usd=Decimal(str(usage.cost_usd)),
            )  # fmt: skip
            if message is None:
                raise errors.Conflict("the run was ended by another process")
            payload = MessageSent(
                conversation_id=run.conversation_id,
                message_id=run.message_id,
                role="assistant",
                content=message.content,
                model=usage.model,
                tokens_used=tokens,
                cost_usd=Decimal(str(usage.cost_usd)),
            )
            await outbox.publish(
                connection, run.who, payload, aggregate_id=run.conversation_id, aggregate_type="conversation"
            )
            event = run.next(COMPLETED, {"message": shapes.message(message)})
            await repository.add_events(connection, run.who, run.message_id, [event])
        await faults.point("conversation.answer.after-complete")
        await _tell(run, [event])

    async def _fail(self, run: Run, code: str, detail: str) -> None:
        """Mark the run; where even that fails, the next process does it."""
        last = run.events[-1].id if run.events else 0
        event = Event(last + 1, ERROR, {"code": code, "detail": detail})
        try:
            async with self._database.tenant(run.who) as connection:
                if await repository.fail(connection, run.message_id, detail):
                    await repository.add_events(connection, run.who, run.message_id, [event])
        except Exception as error:
            log.error("a failed answer could not be marked", message_id=str(run.message_id), error=str(error)[:300])
        await _tell(run, [event])


def _event(run: Run, chunk: Any) -> Event | None:
    match chunk.WhichOneof("part"):
        case "delta":
            run.answer.append(chunk.delta)
            return run.next(DELTA, {"delta": chunk.delta})
        case "citation":
            citation = shapes.citation(chunk.citation)
            run.citations.append(citation)
            return run.next(CITATION, {"citation": citation})
        case "usage":
            run.usage = chunk.usage
    return None


async def _tell(run: Run, events: list[Event]) -> None:
    async with run.news:
        run.events += events
        run.news.notify_all()


async def _live(run: Run, after: int) -> AsyncIterator[Event]:
    place = 0
    while True:
        while place < len(run.events):
            event = run.events[place]
            place += 1
            if event.id > after:
                yield event
        if run.ended:
            return
        async with run.news:
            while place >= len(run.events) and not run.ended:
                await run.news.wait()
