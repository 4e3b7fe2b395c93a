"""Changes of the world while requests are served, through the real Envoy: nobody is told that a tenant is gone."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest
from google.protobuf import json_format
from voicehelper_router import types
from voicehelper_router.tests.harness import CELL_A, CELL_B, RouterUnderTest, received
from voicehelper_router.xds import scopes
from voicehelper_router.xds.delta import REJECTIONS
from voicehelper_router.xds.facts import CellFacts, TenantFacts
from voicehelper_router.xds.resource import Rendered
from voicehelper_router.xds.snapshot import Snapshot

pytestmark = pytest.mark.integration
CELL_C = "cccccccccccc"


class Load:
    """Requests of acme, one after the other, and what they met."""

    def __init__(self, router: RouterUnderTest) -> None:
        self._router = router
        self.seen: Counter[str] = Counter()

    async def run(self) -> None:
        headers = {"X-Tenant-ID": "acme", "Authorization": f"Bearer {self._router.issuer.token('acme')}"}
        async with httpx.AsyncClient(base_url=self._router.url, headers=headers, trust_env=False, timeout=15) as client:
            while True:
                response = await client.get("/api/v1/x")
                self.seen[response.json()["server"] if response.status_code == 200 else str(response.status_code)] += 1
                await asyncio.sleep(0.001)

    async def until(self, server: str) -> None:
        before = self.seen[server]
        async with asyncio.timeout(20):
            while self.seen[server] < before + 3:
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def load(router: RouterUnderTest) -> AsyncIterator[Load]:
    running = Load(router)
    task = asyncio.create_task(running.run())
    try:
        yield running
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
async def as_before(router: RouterUnderTest) -> AsyncIterator[None]:
    yield
    router.delay.clear()
    router.load()
    await router.settled()


async def test_change_of_a_tenant_is_one_scope(router: RouterUnderTest) -> None:
    await router.settled()
    router.sent.clear()
    router.cache.set_tenant("acme", TenantFacts(name="acme", state="routable", cell_id=CELL_B))
    await router.settled()
    assert [(r.type_url, [x.name for x in r.resources], r.removed) for r in router.sent] == [
        (types.SCOPE, ["tenant:acme"], [])
    ]
    assert (await router.get()).json()["server"] == "b"


async def test_new_tenant_and_its_removal(router: RouterUnderTest) -> None:
    assert (await router.get(tenant="newco")).status_code == 404
    router.cache.set_tenant("newco", TenantFacts(name="newco", state="unavailable"))
    await router.settled()
    assert (await router.get(tenant="newco")).status_code == 503
    router.cache.set_tenant("newco", TenantFacts(name="newco", state="routable", cell_id=CELL_A))
    await router.settled()
    assert (await router.get(tenant="newco")).json()["server"] == "a"
    router.cache.set_tenant("newco", TenantFacts(name="newco", state="suspended"))
    await router.settled()
    assert (await router.get(tenant="newco")).status_code == 403
    router.cache.set_tenant("newco", None)
    await router.settled()
    assert (await router.get(tenant="newco")).status_code == 404


@pytest.mark.parametrize("slow", [types.ROUTES, types.CLUSTER, types.SCOPE])
async def test_move_to_a_cell_that_is_new(router: RouterUnderTest, slow: str) -> None:
    """Everything of the new cell arrives late, the tenant's scope waits for it."""
    await router.settled()
    router.delay[slow] = 0.3
    async with load(router) as running:
        await running.until("a")
        router.cache.set_cell(CELL_C, router.cell(CELL_C, router.b))
        router.cache.set_tenant("acme", TenantFacts(name="acme", state="routable", cell_id=CELL_C))
        await running.until("b")
        # and back, while the cell that was new goes at once
        router.cache.set_tenant("acme", TenantFacts(name="acme", state="routable", cell_id=CELL_A))
        router.cache.set_cell(CELL_C, None)
        await running.until("a")
        await router.settled()
        await running.until("a")
    assert set(running.seen) == {"a", "b"}
    assert f"{CELL_C}-http" not in str(await clusters(router))


async def clusters(router: RouterUnderTest) -> str:
    assert router.admin is not None
    return (await router.admin.get("/clusters")).text


async def test_many_moves_to_and_fro(router: RouterUnderTest) -> None:
    await router.settled()
    router.delay[types.ROUTES] = 0.05
    async with load(router) as running:
        for number in range(20):
            cell = f"{chr(ord('d') + number % 4) * 12}"
            upstream = router.b if number % 2 else router.a
            router.cache.set_cell(cell, router.cell(cell, upstream))
            router.cache.set_tenant("acme", TenantFacts(name="acme", state="routable", cell_id=cell))
            if number % 3 == 0:
                await router.settled()
            else:
                await asyncio.sleep(0.02)
        await router.settled()
    assert set(running.seen) <= {"a", "b"}


async def test_endpoint_of_a_cell_moves(router: RouterUnderTest) -> None:
    await router.settled()
    async with load(router) as running:
        await running.until("a")
        router.cache.set_cell(CELL_A, router.cell(CELL_A, router.b))
        await running.until("b")
    assert set(running.seen) == {"a", "b"}


async def test_restarted_control_plane(router: RouterUnderTest) -> None:
    """Envoy keeps its routes; the new process sends only what changed meanwhile."""
    await router.settled()
    async with load(router) as running:
        await running.until("a")
        await router.server.stop(0)
        await running.until("a")
        router.cache.set_tenant("newco", TenantFacts(name="newco", state="routable", cell_id=CELL_B))
        router.cache.set_tenant("coming", None)
        router.sent.clear()
        await router.start_xds()
        await router.settled()
        await running.until("a")
    assert set(running.seen) == {"a"}
    assert {response.type_url for response in router.sent} == {types.SCOPE}
    assert [item.name for response in router.sent for item in response.resources] == ["tenant:newco"]
    assert [name for response in router.sent for name in response.removed] == ["tenant:coming"]
    assert (await router.get(tenant="newco")).json()["server"] == "b"
    assert (await router.get(tenant="coming")).status_code == 404


async def test_cell_made_and_tenant_moved_while_the_control_plane_was_away(router: RouterUnderTest) -> None:
    await router.settled()
    router.delay[types.ROUTES] = 0.3
    async with load(router) as running:
        await running.until("a")
        await router.server.stop(0)
        router.cache.set_cell(CELL_C, router.cell(CELL_C, router.b))
        router.cache.set_tenant("acme", TenantFacts(name="acme", state="routable", cell_id=CELL_C))
        router.cache.set_cell(CELL_A, None)
        await router.start_xds()
        await running.until("b")
        await router.settled()
    assert set(running.seen) == {"a", "b"}


async def test_restarted_envoy_never_says_that_a_tenant_is_gone(router: RouterUnderTest) -> None:
    router.delay.update({types.SCOPE: 0.3, types.ROUTES: 0.3})
    await router.stop_envoy()
    starting = asyncio.create_task(router.start_envoy())
    seen: Counter[int] = Counter()
    async with asyncio.timeout(30):
        while seen[200] < 5:
            with contextlib.suppress(httpx.TransportError):
                seen[(await router.get()).status_code] += 1
            await asyncio.sleep(0.01)
    await starting
    assert set(seen) == {200}


async def test_envoy_that_starts_without_control_plane_waits_for_it(router: RouterUnderTest) -> None:
    await router.stop_envoy()
    await router.server.stop(0)
    starting = asyncio.create_task(router.start_envoy())
    await asyncio.sleep(1)
    assert not starting.done()
    await router.start_xds()
    await starting
    assert (await router.get()).status_code == 200


async def test_identity_that_is_down(router: RouterUnderTest) -> None:
    """Longer than Envoy keeps the keys (1 s here): new tokens are still verified, by Envoy and by a restarted one."""
    await router.identity.stop()
    try:
        await asyncio.sleep(2.5)
        assert (await router.get()).status_code == 200
        response = await router.get("/api/v1/identity/login", token=None, method="POST")
        assert response.status_code == 503
        assert response.headers["content-type"] == "application/problem+json"
        await router.stop_envoy()
        await router.start_envoy()
        assert (await router.get()).status_code == 200
    finally:
        await router.identity.start()


async def test_rotated_key(router: RouterUnderTest) -> None:
    from joserfc import jwk

    fresh = jwk.OKPKey.generate_key("Ed25519", {"kid": "next", "alg": "EdDSA", "use": "sig"})
    token = router.issuer.token("acme", key=fresh, kid="next")
    assert (await router.get(token=token)).status_code == 401
    known = router.issuer.key_set()
    router.identity.answers["/.well-known/jwks.json"] = {"keys": [*known["keys"], fresh.as_dict(private=False)]}
    try:
        async with asyncio.timeout(20):
            while (await router.get(token=token)).status_code != 200:
                await asyncio.sleep(0.1)
        assert (await router.get()).status_code == 200
    finally:
        router.identity.answers["/.well-known/jwks.json"] = known


async def test_refused_resource_is_reported_and_harms_nobody(router: RouterUnderTest) -> None:
    """A cluster that Envoy refuses in one delta with good ones, and scopes that stand on them."""
    await router.settled()
    before = REJECTIONS.labels("Cluster")._value.get()
    snapshot = router.cache.snapshot
    assert snapshot is not None
    good = snapshot.clusters[f"{CELL_B}-http"]
    bad = Rendered(good.kind, "bad", {**good.content, "name": "bad", "connect_timeout": "-1s"})
    json_format.ParseDict(bad.content, bad.kind())
    more = {f"more-{n}": Rendered(good.kind, f"more-{n}", {**good.content, "name": f"more-{n}"}) for n in range(5)}
    newco = scopes.of_name("newco", f"cell-{CELL_B}")
    router.cache._publish(
        Snapshot(
            clusters={**snapshot.clusters, "bad": bad, **more},
            routes=snapshot.routes,
            scopes={**snapshot.scopes, newco.name: newco},
            cells=snapshot.cells,
        )
    )
    await router.settled()
    assert REJECTIONS.labels("Cluster")._value.get() > before
    assert (await router.get(tenant="newco")).json()["server"] == "b"
    held = await clusters(router)
    assert all(f"more-{n}::" in held for n in range(5))
    assert "bad::" not in held


async def test_grpc_goes_to_its_own_cluster(router: RouterUnderTest) -> None:
    facts = CellFacts(cell_id=CELL_A, http=f"127.0.0.1:{router.a.port}", grpc=f"127.0.0.1:{router.jwks_port}")
    router.cache.set_cell(CELL_A, facts)
    await router.settled()
    plain = await router.get(method="POST")
    assert plain.json()["server"] == "a"
    # What listens there speaks no HTTP/2, so the answer is gRPC's "unavailable", not the BFF's.
    answer = await router.get(method="POST", headers=[("content-type", "application/grpc")])
    assert answer.headers["grpc-status"] == "14"


async def test_writes_are_not_tried_again(router: RouterUnderTest) -> None:
    """A server that closes the connection without an answer saw a POST once."""
    seen: Counter[str] = Counter()

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen[head.split(b" ")[0].decode()] += 1
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    router.cache.set_cell(CELL_A, CellFacts(cell_id=CELL_A, http=f"127.0.0.1:{port}"))
    await router.settled()
    try:
        assert (await router.get(method="POST")).status_code == 503
    finally:
        server.close()
    assert seen == {"POST": 1}


async def test_large_upload_passes(router: RouterUnderTest) -> None:
    response = await router.get(method="POST", content=b"x" * 3_000_000)
    assert response.status_code == 200
    assert received(response)["content-length"] == ["3000000"]
