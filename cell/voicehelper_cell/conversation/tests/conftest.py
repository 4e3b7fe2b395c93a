"""The conversation service on a real PostgreSQL, with an orchestrator that tests direct."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from voicehelper_cell.conversation.models import Event
from voicehelper_cell.conversation.runs import Runs
from voicehelper_cell.conversation.service import ConversationService
from voicehelper_cell.database import Database
from voicehelper_cell.indexing.tests.conftest import postgres_dsn  # noqa: F401
from voicehelper_cell.settings import CellSettings
from voicehelper_cell.tests.conftest import ACME, CELL, GLOBEX, Slice, cell, conversations, slices  # noqa: F401
from voicehelper_core import faults
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import AppError, Unavailable
from voicehelper_core.events import Envelope
from voicehelper_core.gen.ai.v1 import orchestrator_pb2_grpc
from voicehelper_core.gen.conversation.v1 import conversation_pb2
from voicehelper_core.gen.rag.v1 import rag_pb2
from voicehelper_core.grpc_service import ErrorInterceptor
from voicehelper_core.rpc import LocalChannel

CITATION = {"document_id": "d1", "title": "Fees", "start": 3, "end": 8, "text": "cited"}


def delta(text: str) -> Any:
    return rag_pb2.AnswerChunk(delta=text)


def answer(*words: str) -> list[Any]:
    """Deltas, a citation, usage."""
    citation = rag_pb2.AnswerChunk(citation=conversation_pb2.Citation(**CITATION))
    usage = rag_pb2.Usage(model="m1", prompt_tokens=7, completion_tokens=3, cost_usd=0.0001, answered=True)
    return [*map(delta, words), citation, rag_pb2.AnswerChunk(usage=usage)]


class Orchestrator(orchestrator_pb2_grpc.OrchestratorServicer):
    """Plays ``script``: chunks, errors to raise, events to wait for, coroutine functions to call."""

    def __init__(self) -> None:
        self.script: list[Any] = answer("Forty-", "two.")
        self.requests: list[Any] = []

    async def Execute(self, request: Any, _: Any) -> AsyncIterator[Any]:
        self.requests.append(request)
        for step in list(self.script):
            match step:
                case AppError():
                    raise step
                case asyncio.Event():
                    await step.wait()
                case rag_pb2.AnswerChunk():
                    yield step
                case _:
                    await step()


class Flaky:
    """A database that can be away."""

    def __init__(self, database: Database) -> None:
        self._database, self.away = database, False

    def tenant(self, who: TenantContext, *, finishing: bool = False) -> Any:
        if self.away:
            raise Unavailable("away, as the test wants it")
        return self._database.tenant(who, finishing=finishing)


@dataclass
class Talk:
    """One process's conversations; ``another`` is the process after it."""

    slice: Slice
    database: Flaky
    channel: LocalChannel
    orchestrator: Orchestrator
    limits: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        async def limits_of(_: TenantContext) -> dict[str, Any]:
            return self.limits

        settings = CellSettings(cell_id=CELL, max_message_characters=100)
        self.runs = Runs(self.database, self.channel, seconds=30)  # type: ignore[arg-type]
        self.service = ConversationService(settings, self.database, self.runs, limits_of)  # type: ignore[arg-type]

    def another(self) -> Talk:
        return Talk(self.slice, self.database, self.channel, self.orchestrator, self.limits)

    async def conversation(self, who: TenantContext) -> str:
        return str((await self.service.create(who, "Title", "", "")).id)

    async def ask(self, who: TenantContext, conversation: str, text: str = "What?", key: str = "") -> list[Event]:
        """All events of the answer."""
        return [event async for event in await self.service.send(who, conversation, text, key)]

    async def outbox(self) -> list[Envelope]:
        rows = await self.slice.admin(f"select topic, payload from {CELL}_conversation.outbox order by created_at")
        assert {row["topic"] for row in rows} <= {f"{CELL}.conversation.events"}
        return [Envelope.parse(row["payload"]) for row in rows]

    async def rows(self) -> list[Any]:
        return await self.slice.admin(f"select * from {CELL}_conversation.messages order by conversation_id, sequence")


@pytest.fixture
async def talk(cell: Slice, conversations: Database) -> AsyncIterator[Talk]:  # noqa: F811
    orchestrator = Orchestrator()
    channel = LocalChannel([ErrorInterceptor()])
    channel.add(orchestrator_pb2_grpc.add_OrchestratorServicer_to_server, orchestrator)
    for who in (ACME, GLOBEX):
        await cell.place(who)
    talk = Talk(cell, Flaky(conversations), channel, orchestrator)
    yield talk
    talk.database.away = False
    await talk.runs.close(grace=0)
    await channel.close()


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Sets fault points; none are left behind."""

    def use(points: str) -> None:
        monkeypatch.setenv("VOICEHELPER_FAULT_POINTS", points)
        faults.load()

    yield use
    monkeypatch.delenv("VOICEHELPER_FAULT_POINTS", raising=False)
    faults.load()


def kinds(events: list[Event]) -> list[str]:
    return [event.type for event in events]
