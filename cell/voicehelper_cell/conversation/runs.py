"""Carries out answers and keeps their events, so that a client that went away gets the rest once.

Events are written to Postgres before anybody sees them: what a client has seen can always be replayed from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from decimal import Decimal
from typing import Any, TypeVar

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
from voicehelper_cell.conversation import leases, repository, shapes
from voicehelper_cell.conversation.models import COMPLETED, ERROR, FINAL, LEASE_SECONDS, STARTED, Event
from voicehelper_cell.conversation.run import Run
from voicehelper_cell.database import Database

log = get_logger(__name__)
T = TypeVar("T")
_FLUSH_SECONDS = 0.03
_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 5.0  # how long a write of an answer waits for Postgres to come back
_MARK_SECONDS = 3.0  # how long listeners wait for the mark of a failure; the mark itself is tried until it works
_STOPPED = "the cell was restarted while it answered: ask again"


class Runs:
    """The answers of this process."""

    def __init__(self, database: Database, channel: Any, *, seconds: float) -> None:
        self._database, self._seconds = database, seconds
        self._orchestrator = orchestrator_pb2_grpc.OrchestratorStub(channel)
        self._runs: dict[uuid.UUID, Run] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._began = self._succeeded = 0
        self._closing = False
        self.worker = uuid.uuid4().hex
        """Tells this process's answers from those of processes that are gone."""

    async def begin(self, opening: Coroutine[Any, Any, tuple[uuid.UUID, Run | None]]) -> uuid.UUID:
        """Store a message and start its run, both or neither, also when the caller goes away in between."""
        if self._closing:
            opening.close()
            raise errors.Unavailable("the cell is stopping: try again in a moment")

        async def both() -> uuid.UUID:
            message_id, run = await opening
            if run is not None:
                self._runs[run.message_id] = run
                self._keep(asyncio.create_task(self._carry_out(run), name=f"run-{run.message_id}"))
            return message_id

        return await asyncio.shield(self._keep(asyncio.create_task(both(), name="begin")))

    def _keep(self, task: asyncio.Task[T]) -> asyncio.Task[T]:
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has it; nobody may be left

    async def close(self, grace: float = 2.0) -> None:
        """Take no more; let answers end; those that do not are marked as failed."""
        self._closing = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def recover(self, tenants: Sequence[TenantContext], *, alone: bool = True) -> int:
        """Mark what dead processes left behind as failed; how many. ``alone``: every other process is dead."""
        count = 0
        for who in tenants:
            async with self._database.tenant(who, finishing=True) as connection:
                for message_id in await leases.abandoned(connection, self.worker, alone=alone):
                    number = await repository.last_event(connection, message_id) + 1
                    event = Event(number, ERROR, {"code": "interrupted", "detail": _STOPPED})
                    if await repository.fail(connection, message_id, _STOPPED):
                        await repository.add_events(connection, who, message_id, [event])
                        count += 1
        return count

    async def renew(self) -> None:
        """Keep the leases of the answers that have been running for a while; Postgres may be away."""
        running: dict[str, list[Run]] = {}
        for run in self._runs.values():
            if time.monotonic() - run.begun > LEASE_SECONDS / 3:
                running.setdefault(run.who.tenant_id, []).append(run)
        for runs in running.values():
            with contextlib.suppress(errors.Unavailable):
                async with self._database.tenant(runs[0].who, finishing=True) as connection:
                    await leases.renew(connection, [run.message_id for run in runs], self.worker)

    async def follow(self, who: TenantContext, message_id: uuid.UUID, after: int) -> AsyncIterator[Event]:
        """Events after an id: what is written, then what comes."""
        ended = False
        while True:
            run = self._runs.get(message_id)
            if run is not None and run.who.tenant_id == who.tenant_id:
                async for event in run.live(after):
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
                if ended:
                    return  # the caller has seen its last event
                async with self._database.tenant(who) as connection:
                    message = await repository.message(connection, who, message_id)
                ended = message is None or message.status != "streaming"
                if not ended:
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
            if self._runs.get(run.message_id) is run:  # a retry may have begun
                del self._runs[run.message_id]
            CONVERSATION_SUCCESS.labels("chat").set(self._succeeded / self._began)

    async def _attempt(self, run: Run) -> None:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._seconds):
                await faults.point("conversation.answer.before")
                rest = await self._answer(run)
                await faults.point("conversation.answer.effect")
                await self._complete(run, rest)
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

    async def _answer(self, run: Run) -> list[Event]:
        """The orchestrator's stream as events, gathered for a moment so that a write carries several.

        Returns the last ones: they are written with the end of the answer.
        """
        if not run.events:  # a slow model's listeners have an id to resume with, and heartbeats
            await self._publish(run, [run.next(STARTED, shapes.started(run.message_id))])
        request = orchestrator_pb2.ExecuteRequest(
            conversation_id=str(run.conversation_id),
            mode="chat",
            content=run.content,
            history=[rag_pb2.Turn(role=message.role, content=message.content) for message in run.history],
        )
        call = self._orchestrator.Execute(request, timeout=self._seconds, metadata=outgoing_metadata("conversation"))
        waiting: list[Event] = []
        flushed = 0.0
        try:
            async for chunk in call:
                if event := run.take(chunk):
                    waiting.append(event)
                if waiting and time.monotonic() - flushed > _FLUSH_SECONDS:
                    await self._publish(run, waiting)
                    waiting, flushed = [], time.monotonic()
        finally:
            with contextlib.suppress(grpc.RpcError):
                call.cancel()
        return waiting

    async def _publish(self, run: Run, events: list[Event]) -> None:
        async def write() -> None:
            async with self._database.tenant(run.who, finishing=True) as connection:
                if not await repository.add_events_while_streaming(
                    connection, run.who, run.message_id, events, worker=self.worker
                ):
                    raise errors.Conflict("the answer had ended before")

        await _patiently(write)
        await run.tell(events)

    async def _complete(self, run: Run, rest: list[Event]) -> None:
        """Answer, event for the world and last events in one transaction, before anybody hears of it."""
        usage = run.usage
        if usage is None:
            raise errors.Unavailable("the model ended without an answer: ask again")
        tokens, cost = usage.prompt_tokens + usage.completion_tokens, Decimal(str(usage.cost_usd))
        number = run.next(COMPLETED, {}).id

        async def write() -> list[Event]:
            async with self._database.tenant(run.who, finishing=True) as connection:
                message = await repository.complete(
                    connection, run.message_id, content="".join(run.answer), citations=run.citations,
                    model=usage.model, tokens_used=tokens, cost_usd=cost, worker=self.worker,
                )  # fmt: skip
                if message is None:
                    raise errors.Conflict("the answer had ended before")
                payload = MessageSent(
                    conversation_id=run.conversation_id, message_id=run.message_id, role="assistant",
                    content=message.content, model=usage.model, tokens_used=tokens, cost_usd=cost,
                )  # fmt: skip
                await outbox.publish(
                    connection, run.who, payload, aggregate_id=run.conversation_id, aggregate_type="conversation"
                )
                events = [*rest, Event(number, COMPLETED, {"message": shapes.message(message)})]
                await repository.add_events(connection, run.who, run.message_id, events)
            return events

        events = await _patiently(write)
        await faults.point("conversation.answer.recorded")
        await run.tell(events)

    async def _fail(self, run: Run, code: str, detail: str) -> None:
        """Tell that the run failed, marked if possible; without Postgres the mark follows when it is back."""
        last = run.events[-1].id if run.events else run.base
        marking = self._keep(asyncio.create_task(self._mark(run, last, code, detail), name=f"mark-{run.message_id}"))
        done, _ = await asyncio.wait({marking}, timeout=1.0 if self._closing else _MARK_SECONDS)
        events = marking.result() if done else []
        if not events or events[-1].type not in FINAL:  # not marked yet, or begun anew by another process
            events = [Event(last + 1, ERROR, {"code": code, "detail": detail})]
        await run.tell(events)

    async def _mark(self, run: Run, last: int, code: str, detail: str) -> list[Event]:
        """Mark the run; the events that its listeners lack: usually the error, the end where it had one already."""
        pause = 0.2
        while True:
            try:
                async with self._database.tenant(run.who, finishing=True) as connection:
                    if await repository.fail(connection, run.message_id, detail, self.worker):
                        number = await repository.last_event(connection, run.message_id) + 1
                        event = Event(number, ERROR, {"code": code, "detail": detail})
                        await repository.add_events(connection, run.who, run.message_id, [event])
                    return await repository.events(connection, run.message_id, last)
            except errors.Unavailable:
                await asyncio.sleep(pause)
                pause = min(2 * pause, 5.0)
            except Exception as error:
                log.error("a failed answer could not be marked", message_id=str(run.message_id), exc_info=error)
                return []


async def _patiently(write: Callable[[], Awaitable[T]]) -> T:
    """A write that may be repeated, tried again for a while when Postgres is away."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return await write()
        except errors.Unavailable:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.2)
