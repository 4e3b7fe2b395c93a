"""What is done with an event: once it is good, never when it is not, again when it may work later."""

from __future__ import annotations

import types
import uuid
from typing import Any

import pytest
from aiokafka import TopicPartition
from voicehelper_cell import consumer as module
from voicehelper_cell.consumer import EventConsumer
from voicehelper_cell.placements import Placement, Placements
from voicehelper_core import context, trace
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import InvalidArgument, Unavailable
from voicehelper_core.events import DocumentDeleted, Envelope

CELL = "ctest0000001"
ACME = TenantContext("tacme0000001", "acme", "user-1", CELL)


def envelope(who: TenantContext = ACME) -> Envelope:
    identifier = uuid.uuid4()
    return Envelope.new(
        who, DocumentDeleted(document_id=identifier), aggregate_id=str(identifier), aggregate_type="document"
    )


class Handled(list[tuple[TenantContext, Envelope]]):
    """A handler that fails as it is told to, then keeps what it is given."""

    def __init__(self, *failures: Exception) -> None:
        super().__init__()
        self.failures, self.calls = list(failures), 0
        self.seen: list[tuple[TenantContext, str]] = []

    async def __call__(self, who: TenantContext, event: Envelope) -> None:
        self.calls += 1
        span = trace.current()
        assert span is not None
        self.seen.append((context.current(), span.trace_id))
        if self.failures:
            raise self.failures.pop(0)
        self.append((who, event))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def now(_: float) -> None:
        return None

    monkeypatch.setattr(module, "asyncio", types.SimpleNamespace(sleep=now))


async def take(handler: Handled, value: bytes | None) -> list[tuple[int, str]]:
    """Give a record to a consumer; offsets and reasons of the dead letters that it wrote."""
    letters: list[tuple[int, str]] = []

    async def keep(record: Any, reason: str) -> None:
        letters.append((record.offset, reason))

    placements: Any = Placements("postgresql://nobody@127.0.0.1:1/none", CELL)
    placements._known = {ACME.tenant_id: Placement(ACME.tenant_id, "acme", False, {})}
    settings: Any = types.SimpleNamespace(cell_id=CELL)
    consumer = EventConsumer(settings, "document.events", "indexing", placements=placements, handler=handler)
    consumer._dead = types.SimpleNamespace(keep=keep)  # type: ignore[assignment]
    await consumer._one(types.SimpleNamespace(value=value, partition=0, offset=3))
    return letters


async def test_an_event_is_handled_in_its_tenants_context_and_trace() -> None:
    handler, sent = Handled(), envelope()
    await take(handler, sent.to_json().encode())
    ((who, event),) = handler
    assert (who.tenant_id, who.tenant, who.user_id, who.cell_id) == ("tacme0000001", "acme", "user-1", CELL)
    assert event == sent
    assert handler.seen[0][0] == who
    assert context.current_or_none() is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\xff\xfe",
        b"{",
        b"[]",
        b'"x"',
        b"[" * 100_000,
        b'{"event_type": "document.deleted"}',
        envelope().to_json().replace("document.deleted", "document.dissolved").encode(),
        envelope(TenantContext("tother000001", "other", "u", CELL)).to_json().encode(),
    ],
    ids=("nothing", "empty", "not UTF-8", "cut", "list", "text", "deep", "half", "unknown type", "another cell's"),
)
async def test_what_is_no_event_of_ours_becomes_a_dead_letter(value: bytes | None) -> None:
    handler = Handled()
    ((offset, reason),) = await take(handler, value)
    assert (handler.calls, offset) == (0, 3)
    assert reason


async def test_an_outage_is_waited_out_however_long() -> None:
    handler = Handled(*[Unavailable("Milvus is away")] * 50)
    await take(handler, envelope().to_json().encode())
    assert (handler.calls, len(handler)) == (51, 1)


async def test_an_event_that_fails_for_itself_is_tried_again_and_then_given_up() -> None:
    handler = Handled(RuntimeError("once"), InvalidArgument("twice"))
    assert await take(handler, envelope().to_json().encode()) == []
    assert (handler.calls, len(handler)) == (3, 1)
    handler = Handled(*[RuntimeError("always")] * 50)
    assert await take(handler, envelope().to_json().encode()) == [(3, "RuntimeError: always")]
    assert (handler.calls, len(handler)) == (5, 0)


def test_who_reads_the_first_partition_leads() -> None:
    settings: Any = types.SimpleNamespace(cell_id=CELL)
    consumer = EventConsumer(settings, "document.events", "indexing", placements=None, handler=None)  # type: ignore[arg-type]
    assert not consumer.leads
    for partitions, leads in (({0, 1}, True), ({1, 2}, False), (set(), False)):
        assigned = {TopicPartition(f"{CELL}.document.events", number) for number in partitions}
        consumer._reading = types.SimpleNamespace(assignment=lambda assigned=assigned: assigned)
        assert consumer.leads is leads
