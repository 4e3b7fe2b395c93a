"""Cells fall asleep and wake all the time while many clients ask: every request is answered once, by its cell."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import httpx
import pytest
import pytest_asyncio
from voicehelper_router import types
from voicehelper_router.tests.harness import CELL_A, CELL_B, RouterUnderTest, Upstream
from voicehelper_router.xds.facts import CellFacts

pytestmark = pytest.mark.integration
TENANTS = {"acme": CELL_A, "globex": CELL_B}


class Echo(grpc.GenericRpcHandler):
    """A cell's gRPC server: says which one it is, and counts what it was asked."""

    def __init__(self, name: str) -> None:
        self.name, self.asked = name, Counter[bytes]()

    def service(self, details: Any) -> Any:
        async def answer(request: bytes, context: Any) -> bytes:
            self.asked[request] += 1
            return self.name.encode()

        return grpc.unary_unary_rpc_method_handler(answer)


class Clients:
    """Each asks one thing after the other, all of them different, and notes what came back."""

    def __init__(self, router: RouterUnderTest) -> None:
        self.router = router
        self.sent: dict[str, list[str]] = {"a": [], "b": []}
        self.seen: Counter[str] = Counter()
        self.stop = False
        self._count = 0

    def _next(self, server: str, kind: str) -> str:
        self._count += 1
        path = f"/api/v1/{kind}-{self._count}" + ("/ticks" if kind == "events" else "")
        self.sent[server].append(path)
        return path

    async def http(self, tenant: str, server: str, kind: str) -> None:
        headers = {"X-Tenant-ID": tenant, "Authorization": f"Bearer {self.router.issuer.token(tenant)}"}
        if kind == "events":
            headers["Accept"] = "text/event-stream"
        content = b"x" * 200_000 if kind == "upload" else b""
        method = "GET" if kind in ("get", "events") else "POST"
        async with httpx.AsyncClient(base_url=self.router.url, headers=headers, trust_env=False, timeout=30) as client:
            while not self.stop:
                response = await client.request(method, self._next(server, kind), content=content)
                right = response.status_code == 200 and (
                    response.text.count(f"data: {server}") == 3
                    if kind == "events"
                    else response.json()["server"] == server
                )
                self.seen["right" if right else f"{kind} {response.status_code} {response.text[:200]}"] += 1
                await asyncio.sleep(random.uniform(0, 0.02))

    async def grpc(self, tenant: str, server: str) -> None:
        metadata = (("x-tenant-id", tenant), ("authorization", f"Bearer {self.router.issuer.token(tenant)}"))
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.router.port}") as channel:
            call = channel.unary_unary("/x.Y/Echo")
            while not self.stop:
                try:
                    answer = await call(self._next(server, "grpc").encode(), metadata=metadata, timeout=30)
                    self.seen["right" if answer == server.encode() else f"grpc from {answer!r}"] += 1
                except grpc.aio.AioRpcError as error:
                    self.seen[f"grpc {error.code()} {error.details()}"] += 1
                await asyncio.sleep(random.uniform(0, 0.02))

    def start(self, each: int) -> list[asyncio.Task[None]]:
        tasks = []
        for tenant, server in (("acme", "a"), ("globex", "b")):
            for kind in ("get", "post", "upload", "events"):
                tasks += [asyncio.create_task(self.http(tenant, server, kind)) for _ in range(each)]
            tasks += [asyncio.create_task(self.grpc(tenant, server)) for _ in range(each)]
        return tasks


@pytest_asyncio.fixture
async def echoes(router: RouterUnderTest) -> AsyncIterator[dict[str, tuple[Echo, int]]]:
    found, servers = {}, []
    for name in ("a", "b"):
        echo = Echo(name)
        server = grpc.aio.server(handlers=[echo])
        found[name] = echo, server.add_insecure_port("127.0.0.1:0")
        await server.start()
        servers.append(server)
    yield found
    router.delay.clear()
    router.load()
    await router.settled()
    for server in servers:
        await server.stop(0)


def arrived(upstream: Upstream, echo: Echo) -> Counter[str]:
    paths = {path: number for path, number in upstream.paths.items() if path.startswith("/api/v1/")}
    return Counter(paths) + Counter({path.decode(): number for path, number in echo.asked.items()})


async def judged(router: RouterUnderTest, clients: Clients, echoes: dict[str, tuple[Echo, int]]) -> None:
    assert set(clients.seen) == {"right"}, clients.seen
    for name, upstream in (("a", router.a), ("b", router.b)):
        assert arrived(upstream, echoes[name][0]) == Counter(clients.sent[name])
    await router.held(0)
    await router.held(0, CELL_B)


@pytest.mark.parametrize("slow", [{}, {types.SCOPE: 0.03}, {types.ROUTES: 0.03, types.CLUSTER: 0.02}])
async def test_cells_that_fall_asleep_and_wake_all_the_time(
    router: RouterUnderTest, echoes: dict[str, tuple[Echo, int]], slow: dict[str, float]
) -> None:
    """However short the time between two changes, and however late Envoy hears of them."""
    router.delay.update(slow)
    for upstream in (router.a, router.b):
        upstream.paths.clear()
    clients = Clients(router)

    def change(name: str, cell: str, hibernation: str, address: bool = True) -> None:
        port = {"a": router.a, "b": router.b}[name].port
        facts = {"http": f"127.0.0.1:{port}", "grpc": f"127.0.0.1:{echoes[name][1]}"} if address else {}
        router.cache.set_cell(cell, CellFacts.model_validate({"cell_id": cell, "hibernation": hibernation, **facts}))

    change("a", CELL_A, "")
    change("b", CELL_B, "")
    await router.settled()
    tasks = clients.start(4)
    draw = random.Random(1)
    for _ in range(120):
        name, cell = draw.choice([("a", CELL_A), ("b", CELL_B)])
        change(name, cell, "Idle")
        if draw.random() < 0.5:
            await asyncio.sleep(draw.choice([0, 0.001, 0.01, 0.04]))
        change(name, cell, "")
        if draw.random() < 0.8:
            await asyncio.sleep(draw.choice([0, 0.001, 0.01, 0.04]))
    change("a", CELL_A, "")
    change("b", CELL_B, "")
    clients.stop = True
    async with asyncio.timeout(60):
        await asyncio.gather(*tasks)
    await judged(router, clients, echoes)
    assert clients.seen["right"] > 200


async def test_a_cell_that_is_stopped_when_it_is_parked_and_started_for_who_waits(
    router: RouterUnderTest, echoes: dict[str, tuple[Echo, int]]
) -> None:
    """An operator's way: asleep, parked and quiet, stopped, without an address, waited for, started, awake."""
    router.a.paths.clear()
    router.b.paths.clear()
    clients = Clients(router)
    there = CellFacts(cell_id=CELL_A, http=f"127.0.0.1:{router.a.port}", grpc=f"127.0.0.1:{echoes['a'][1]}")
    router.cache.set_cell(CELL_A, there)
    router.cache.set_cell(
        CELL_B, router.cell(CELL_B, router.b).model_copy(update={"grpc": f"127.0.0.1:{echoes['b'][1]}"})
    )
    await router.settled()
    tasks = clients.start(3)
    for _ in range(10):
        router.cache.set_cell(CELL_A, there.model_copy(update={"hibernation": "Idle"}))
        async with asyncio.timeout(20):
            while True:
                use = (await router.ask_xds(f"/cells/{CELL_A}")).json()
                if use["parked"] and not use["in_flight"]:
                    break
        await router.a.stop()
        router.cache.set_cell(CELL_A, CellFacts(cell_id=CELL_A, hibernation="Idle"))
        version = ""
        while not (news := (await router.ask_xds(f"/cells/held?wait=5&known={version}")).json())["held"].get(CELL_A):
            version = news["version"]
        router.cache.set_cell(CELL_A, CellFacts(cell_id=CELL_A))
        await asyncio.sleep(0.05)
        await router.a.start()
        router.cache.set_cell(CELL_A, there)
        await router.settled()
        await asyncio.sleep(0.1)
    clients.stop = True
    async with asyncio.timeout(60):
        await asyncio.gather(*tasks)
    await judged(router, clients, echoes)
