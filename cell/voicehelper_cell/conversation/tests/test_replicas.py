"""Several processes of the conversation service: the living keep their answers, the dead lose theirs, once."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from voicehelper_cell.conversation import recovery as recovery_module
from voicehelper_cell.conversation import repository
from voicehelper_cell.conversation.models import ERROR
from voicehelper_cell.conversation.recovery import Recovery
from voicehelper_cell.conversation.tests.conftest import Talk, answer, kinds
from voicehelper_cell.tests.conftest import ACME, CELL

EXPIRE = f"update {CELL}_conversation.messages set leased_until = now() - interval '1 second'"
LEFT = (
    f"select extract(epoch from leased_until - now())::float8 as s from {CELL}_conversation.messages"
    " where role = 'assistant'"
)


@pytest.fixture
async def hanging(talk: Talk) -> Any:
    """An answer that waits for its first word, and the gate."""
    gate = asyncio.Event()
    talk.orchestrator.script = [gate, *answer("late")]
    conversation = await talk.conversation(ACME)
    stream = await talk.service.send(ACME, conversation, "What?", "key")
    return conversation, stream, gate


async def test_another_process_leaves_a_living_answer_alone(talk: Talk, hanging: Any) -> None:
    _, stream, gate = hanging
    assert await talk.another().runs.recover([ACME], alone=False) == 0
    gate.set()
    assert kinds([event async for event in stream])[-1] == "message.completed"


async def test_a_lease_that_ended_is_marked_once_by_one_of_many(talk: Talk, hanging: Any) -> None:
    _, stream, gate = hanging
    await talk.slice.admin(EXPIRE)
    replicas = [talk.another() for _ in range(4)]
    counts = await asyncio.gather(*(replica.runs.recover([ACME], alone=False) for replica in replicas))
    assert sorted(counts) == [0, 0, 0, 1]
    gate.set()  # its process was only slow: it notices, and writes nothing more
    assert kinds([event async for event in stream])[-1] == ERROR
    assert [row["status"] for row in await talk.rows()] == ["completed", "failed"]


async def test_a_process_renews_its_answers_and_no_others(talk: Talk, hanging: Any) -> None:
    await talk.slice.admin(EXPIRE)
    await talk.another().runs.renew()
    assert (await talk.slice.admin(LEFT))[0]["s"] < 0
    await talk.runs.renew()
    assert (await talk.slice.admin(LEFT))[0]["s"] < 0, "a young answer has its first lease, and costs no write"
    for run in talk.runs._runs.values():
        run.begun -= 60
    await talk.runs.renew()
    assert (await talk.slice.admin(LEFT))[0]["s"] > 10
    talk.database.away = True
    await talk.runs.renew()  # Postgres is away, which ends nothing


async def test_who_lost_its_answer_cannot_end_the_one_that_was_begun_anew(talk: Talk, hanging: Any) -> None:
    conversation, stream, gate = hanging
    await talk.slice.admin(EXPIRE)
    other = talk.another()
    assert await other.runs.recover([ACME], alone=False) == 1
    second = asyncio.Event()
    talk.orchestrator.script = [second, *answer("new")]
    again = await other.service.send(ACME, conversation, "What?", "key")
    gate.set()
    assert kinds([event async for event in stream])[-1] == ERROR
    async with talk.database.tenant(ACME) as connection:
        rows = await repository.messages(connection, uuid.UUID(conversation), 10, None)
    assert [row.status for row in rows] == ["completed", "streaming"]
    second.set()
    events = [event async for event in again]
    assert kinds(events)[-1] == "message.completed"
    assert events[-1].body["message"]["content"] == "new"


class _Listed:
    reason: str | None = None
    suspended = False

    def all(self, *, served: bool = True) -> list[Any]:
        return [] if served and self.suspended else [ACME]


class _Looks:
    """Runs that only remember whose answers were looked at."""

    def __init__(self) -> None:
        self.looked: list[list[str]] = []

    async def recover(self, tenants: Any, *, alone: bool) -> int:
        self.looked.append([who.tenant_id for who in tenants])
        return 0


async def test_a_tenant_that_was_restored_is_looked_at_once_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery_module, "SWEEP_SECONDS", 0.01)
    listed, runs = _Listed(), _Looks()
    listed.suspended = True  # it is being filled
    running = asyncio.create_task(Recovery(runs, listed, alone=True).run())  # type: ignore[arg-type]

    async def until(count: int) -> None:
        async with asyncio.timeout(5):
            while len(runs.looked) < count:
                await asyncio.sleep(0.01)

    await until(3)
    assert all(runs.looked)
    listed.suspended = False
    await until(len(runs.looked) + 3)
    assert runs.looked[-1] == []  # once is enough while it serves
    running.cancel()


@pytest.mark.parametrize("alone", [True, False])
async def test_a_replacement_waits_for_the_lease_unless_it_is_alone(talk: Talk, hanging: Any, alone: bool) -> None:
    recovery = Recovery(talk.another().runs, _Listed(), alone=alone)  # type: ignore[arg-type]
    assert recovery.reason
    running = asyncio.create_task(recovery.run())
    async with asyncio.timeout(10):
        while recovery.reason:
            await asyncio.sleep(0.01)
    statuses = [row["status"] for row in await talk.rows()]
    assert statuses == ["completed", "failed" if alone else "streaming"]
    running.cancel()
    hanging[2].set()
