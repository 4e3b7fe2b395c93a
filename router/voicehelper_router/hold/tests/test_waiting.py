"""Who may go on, and when: what one Envoy acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

import pytest_asyncio
from voicehelper_router import types
from voicehelper_router.hold.waiting import Outcome, Waiting
from voicehelper_router.xds.cache import Cache
from voicehelper_router.xds.delta import DeltaServicer
from voicehelper_router.xds.facts import CellFacts, TenantFacts
from voicehelper_router.xds.stream import Response, Stream

CELL = "aaaaaaaaaaaa"


class World:
    """A control plane with one Envoy, whose answers the test gives."""

    def __init__(self) -> None:
        self.cache = Cache()
        self.cache.load([TenantFacts(name="acme", state="routable", cell_id=CELL)], [])
        self.servicer = DeltaServicer(self.cache)
        self.waiting = Waiting(self.cache, self.servicer, seconds=5, per_tenant=2, total=3)
        self.stream = self.connect("one")
        self.travelling: list[Response] = []

    def connect(self, node: str) -> Stream:
        stream = Stream(node=node)
        for kind in (types.CLUSTER, types.SCOPE):
            stream.request(kind, subscribe=[], unsubscribe=[], known={}, nonce="", error=None)
        self.servicer.streams[stream] = None
        return stream

    def cell(self, hibernation: Literal["", "Idle", "Forced"], *, http: bool = True) -> None:
        facts = CellFacts(cell_id=CELL, http="127.0.0.1:1" if http else None, hibernation=hibernation)
        self.cache.set_cell(CELL, facts)

    def send(self) -> None:
        assert self.cache.snapshot
        self.travelling += self.stream.next(self.cache.snapshot)

    def answer(self) -> None:
        """Envoy acknowledges all that is on its way, and asks for the route configurations that it lacks."""
        for response in self.travelling:
            self.stream.request(
                response.type_url, subscribe=[], unsubscribe=[], known={}, nonce=response.nonce, error=None
            )
        self.travelling = []
        assert self.cache.snapshot
        routes = list(self.cache.snapshot.routes)
        state = self.stream.types.get(types.ROUTES)
        new = [name for name in routes if state is None or name not in state.names]
        if new:
            self.stream.request(types.ROUTES, subscribe=new, unsubscribe=[], known={}, nonce="", error=None)
        for event in self.servicer.listeners:
            event.set()

    def settle(self) -> None:
        for _ in range(10):
            self.send()
            self.answer()

    async def held(self) -> asyncio.Task[Outcome]:
        task = asyncio.create_task(self.waiting.wait("one", "acme"))
        await asyncio.sleep(0)
        return task


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    task = asyncio.create_task(world.waiting.run())
    yield world
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def still(task: asyncio.Task[Outcome]) -> bool:
    await asyncio.sleep(0.02)
    return not task.done()


async def test_the_acknowledgement_counts_not_what_was_sent(world: World) -> None:
    world.cell("Idle")
    world.settle()
    task = await world.held()
    world.cell("")
    assert await still(task)
    world.send()
    assert await still(task)
    world.settle()
    assert await task is Outcome.GO


async def test_nobody_goes_on_while_the_cell_is_to_sleep_again(world: World) -> None:
    """The word that it is awake is acknowledged, and is old by then."""
    world.cell("Idle")
    world.settle()
    task = await world.held()
    world.cell("")
    world.send()
    world.cell("Idle")
    world.answer()
    assert await still(task)
    world.cell("")  # before Envoy was told of it: there is nothing that it could acknowledge
    assert await task is Outcome.GO


async def test_a_request_that_comes_late_goes_on_at_once(world: World) -> None:
    world.cell("")
    world.settle()
    assert await world.waiting.wait("one", "acme") is Outcome.GO
    assert await world.waiting.wait("one", "nobody") is Outcome.GO  # to a 404


async def test_each_envoy_for_itself(world: World) -> None:
    world.cell("")
    world.settle()
    world.connect("two")
    world.waiting._seconds = 0.05
    assert await world.waiting.wait("two", "acme") is Outcome.LATE
    assert await world.waiting.wait("unknown", "acme") is Outcome.LATE
    assert await world.waiting.wait("one", "acme") is Outcome.GO
    world.connect("one")  # it lost the first stream, and that was not noticed yet
    assert await world.waiting.wait("one", "acme") is Outcome.LATE


async def test_limits_and_who_goes_away(world: World) -> None:
    world.cell("Idle")
    world.cache.set_tenant("globex", TenantFacts(name="globex", state="routable", cell_id=CELL))
    world.settle()
    first, second = await world.held(), await world.held()
    assert await world.waiting.wait("one", "acme") is Outcome.CROWDED
    third = asyncio.create_task(world.waiting.wait("one", "globex"))
    await asyncio.sleep(0)
    assert await world.waiting.wait("one", "globex") is Outcome.FULL
    assert world.waiting.cells() == {CELL: 3}
    for task in (first, second, third):
        task.cancel()
    await asyncio.gather(first, second, third, return_exceptions=True)
    assert world.waiting.cells() == {}
    assert not world.waiting._waiting


async def test_a_crowd_goes_on_piece_by_piece(world: World) -> None:
    world.cell("Idle")
    world.settle()
    world.waiting._per_tenant = world.waiting._total = 120
    tasks = [asyncio.create_task(world.waiting.wait("one", "acme")) for _ in range(120)]
    await asyncio.sleep(0)
    world.cell("")
    world.settle()
    seen = []
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0.001)
        seen.append(sum(task.done() for task in tasks))
    assert {50, 100} <= set(seen) <= {0, 50, 100, 120}


async def test_news_for_whom_requests_wait(world: World) -> None:
    world.cell("Idle")
    world.settle()
    known = world.waiting.version
    news = asyncio.create_task(world.waiting.changed(known, 5))
    await asyncio.sleep(0.01)
    assert not news.done()
    tasks = [await world.held(), await world.held()]
    await asyncio.wait_for(news, 1)
    known = world.waiting.version
    tasks[0].cancel()
    await world.waiting.changed(known, 0.02)
    assert world.waiting.version == known  # one more or less is no news
    tasks[1].cancel()
    await world.waiting.changed(known, 5)
    assert world.waiting.version != known
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_parked_when_no_envoy_has_a_scope_that_names_the_cell(world: World) -> None:
    world.cell("")
    world.settle()
    assert not world.waiting.parked(CELL)
    world.cell("Idle")
    assert not world.waiting.parked(CELL)
    world.send()
    assert not world.waiting.parked(CELL)
    world.settle()
    assert world.waiting.parked(CELL)
    world.servicer.streams.clear()
    assert not world.waiting.parked(CELL)
