"""The adapters of the Kubernetes API against a real API server."""

from __future__ import annotations

import asyncio
import contextlib
import json
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest
from kubernetes.aio import client
from voicehelper_core import errors, kubernetes_api
from voicehelper_core.indexes import Index, counts, having
from voicehelper_core.kubernetes_api import cache
from voicehelper_core.kubernetes_api.client import Gone
from voicehelper_core.kubernetes_api.follow import Selection, follow
from voicehelper_core.kubernetes_api.kinds import OURS, SECRET
from voicehelper_crds import Cell, Condition, Tenant, TenantPlan, TenantStatus

pytestmark = pytest.mark.integration


class Watcher:
    """Collects changes while a test goes on."""

    def __init__(self, changes):
        self.seen, self._changes = [], changes
        self._task = asyncio.create_task(self._run())

    async def _run(self):
        async with aclosing(self._changes) as changes:
            async for change in changes:
                self.seen.append((change.type, change.name, change.resource))

    async def until(self, *wanted):
        async with asyncio.timeout(20):
            while not set(wanted) <= {(type_, name) for type_, name, _ in self.seen}:
                await asyncio.sleep(0.02)

    async def end(self):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.fixture
async def watching():
    started = []

    def start(changes):
        started.append(Watcher(changes))
        return started[-1]

    yield start
    for watcher in started:
        await watcher.end()


async def test_watch(kubernetes_store, tenant, watching):
    store = kubernetes_store
    await store.apply(tenant("first"))
    watcher = watching(store.watch(Tenant, TenantPlan))
    await watcher.until(("applied", "first"), ("synced", ""))
    await store.apply(tenant("second"))
    await watcher.until(("applied", "second"))
    await store.delete(Tenant, "first")
    await watcher.until(("deleted", "first"))
    last = next(resource for type_, _, resource in watcher.seen if type_ == "deleted")
    assert last.spec.plan_ref == "team"
    assert [type_ for type_, _, _ in watcher.seen].count("synced") == 1


async def test_what_ended_while_the_watch_was_away_is_told(api, kubernetes_store, tenant, monkeypatch):
    """The version that the watch stood at is compacted away meanwhile: it has to list anew."""
    store, deltas, away = kubernetes_store, [], asyncio.Event()
    for name in ("stays", "goes", "is-made-anew"):
        await store.apply(tenant(name))
    watch = api.watch

    async def interrupted(*arguments, **options):
        if away.is_set():
            away.clear()
            await store.delete(Tenant, "goes")
            await store.delete(Tenant, "is-made-anew")
            await store.apply(tenant("is-made-anew"))
            raise Gone("too old")
        async for item in watch(*arguments, **options):
            yield item
            if away.is_set():
                return

    monkeypatch.setattr(api, "watch", interrupted)
    async with aclosing(follow(api, Selection(OURS["Tenant"]))) as stream, asyncio.timeout(20):
        async for delta in stream:
            deltas.append((delta.type, delta.object.get("metadata", {}).get("name")))
            if deltas.count(("synced", None)) == 1 and not away.is_set():
                away.set()
                await store.apply(tenant("stays", displayName="wakes the watch"))
            if deltas.count(("synced", None)) == 2:
                break
    after = deltas[deltas.index(("synced", None)) + 1 :]
    assert ("deleted", "goes") in after
    assert after.index(("deleted", "is-made-anew")) < after.index(("applied", "is-made-anew"))


async def test_what_was_made_and_ended_while_the_watch_was_away_is_not_there(api, tenant, watching, monkeypatch):
    """The store knows it from the answer to its own write, and the list after a 410 does not say that it is gone."""
    store, away, go_on = kubernetes_api.KubernetesResourceStore(api, cached=True), asyncio.Event(), asyncio.Event()
    watch = api.watch

    async def interrupted(*arguments, **options):
        if not away.is_set():
            away.set()
            await go_on.wait()
            raise Gone("too old")
        async for item in watch(*arguments, **options):
            yield item

    monkeypatch.setattr(api, "watch", interrupted)
    watcher = watching(store.watch(Tenant))
    await watcher.until(("synced", ""))
    await away.wait()
    for name in ("went", "stays"):
        await store.apply(tenant(name))
    await api.delete(OURS["Tenant"], "went")
    assert (await store.get(Tenant, "went")).metadata.name == "went"
    go_on.set()
    await watcher.until(("deleted", "went"), ("applied", "stays"))
    with pytest.raises(errors.NotFound):
        await store.get(Tenant, "went")
    assert [item.metadata.name for item in await store.list(Tenant)] == ["stays"]


async def test_the_api_server_may_go_and_come_back(api_server, kubernetes_store, tenant, watching):
    store = kubernetes_store
    watcher = watching(store.watch(Tenant))
    await watcher.until(("synced", ""))
    await asyncio.to_thread(api_server.stop)
    with pytest.raises(errors.Unavailable, match="does not answer"):
        await store.get(Tenant, "acme")
    await asyncio.to_thread(api_server.start)
    await store.apply(tenant("late"))
    await watcher.until(("applied", "late"))


async def test_reads_of_a_watcher_cost_nothing_and_are_never_behind_its_own_writes(api, tenant, watching):
    store = kubernetes_api.KubernetesResourceStore(api, manager="operator", cached=True)
    watcher = watching(store.watch(Tenant, Cell))
    await watcher.until(("synced", ""))
    for number in range(20):
        await store.apply(tenant(f"t{number}"))
        status = TenantStatus(cell=f"c{number}", phase="Ready")
        written = await store.update_status(Tenant, f"t{number}", status)
        await store.set_finalizers(Tenant, f"t{number}", ["voicehelper.io/tenant"])
        assert (await store.get(Tenant, f"t{number}")).metadata.finalizers
        assert (await store.get(Tenant, f"t{number}")).status == written.status
    assert len(await store.list(Tenant)) == 20
    assert await store.list(Tenant, {"none": "such"}) == []
    await store.delete(Tenant, "t3")
    await store.set_finalizers(Tenant, "t3", [])
    await watcher.until(("deleted", "t3"))
    with pytest.raises(errors.NotFound):
        await store.get(Tenant, "t3")
    assert len(await store.list(Tenant)) == 19
    await watcher.end()
    assert (await store.get(Tenant, "t4")).metadata.name == "t4"  # from the API server again


@pytest.mark.parametrize("models", [1000, 3])
async def test_indexes_follow_the_watch_and_own_writes(api, kubernetes_store, tenant, watching, monkeypatch, models):
    """The same as of a store that lists, also where a cache is so large that it keeps JSON."""
    monkeypatch.setattr(cache, "_MODELS", models)
    store = kubernetes_api.KubernetesResourceStore(api, manager="operator", cached=True)
    homes, by_plan = Index(Tenant, lambda item: item.status.cell), Index(Tenant, lambda item: item.spec.plan_ref)
    await kubernetes_store.apply(tenant("t0"))
    assert dict(await counts(store, homes)) == {}  # nobody watches yet
    watcher = watching(store.watch(Tenant))
    await watcher.until(("synced", ""))
    for number in range(1, 6):
        await store.apply(tenant(f"t{number}"))
        await store.update_status(Tenant, f"t{number}", TenantStatus(cell=f"c{number % 2}"))
        assert sum((await counts(store, homes)).values()) == number
    assert dict(await counts(store, homes)) == {"c0": 2, "c1": 3}
    await store.update_status(Tenant, "t1", TenantStatus(cell="c0"))
    assert [item.metadata.name for item in await having(store, homes, "c0")] == ["t1", "t2", "t4"]
    await kubernetes_store.delete(Tenant, "t2")
    await watcher.until(("deleted", "t2"))
    for index in (homes, by_plan):
        assert dict(await counts(store, index)) == dict(await counts(kubernetes_store, index))
    assert await store.list(Tenant) == await kubernetes_store.list(Tenant)
    assert await having(store, homes, "nowhere") == []


async def test_fields_of_others_are_not_fought_over(api, api_server, tenant):
    store = kubernetes_api.KubernetesResourceStore(api)
    await store.apply(tenant(displayName="Ours"))
    api_server.kubectl(
        "apply", "--server-side", "--field-manager=people", "--force-conflicts", "-f",
        _file(api_server, tenant(displayName="Theirs")),
    )  # fmt: skip
    with pytest.raises(errors.Conflict) as conflict:
        await store.apply(tenant(displayName="Ours again"))
    assert conflict.value.extra["fields"] == [".spec.displayName"]
    assert "people" in conflict.value.detail
    assert (await store.get(Tenant, "acme")).spec.display_name == "Theirs"


def _file(api_server, manifest):
    import json

    path = api_server.kubeconfig.parent / "manifest.json"
    path.write_text(json.dumps(manifest))
    return str(path)


@pytest.mark.parametrize(
    ("change", "path", "reason"),
    [
        ({"spec": {"tenancy": "dedicated"}}, "spec.tenancy", "for life"),
        ({"spec": {"capacity": 0}}, "spec.capacity", "greater than or equal to 1"),
        ({"spec": {"idleAfterSeconds": 3}}, "spec.idleAfterSeconds", "greater than or equal to 10"),
    ],
)
async def test_the_api_server_refuses_what_we_refuse(api, kubernetes_store, change, path, reason):
    """Written past our own validation: the generated CRDs hold by themselves."""
    await kubernetes_store.apply({"apiVersion": "voicehelper.io/v1alpha1", "kind": "Cell", "metadata": {"name": "c1"}})
    with pytest.raises(errors.InvalidArgument) as refused:
        await api.merge(OURS["Cell"], "c1", change, manager="somebody")
    (problem,) = [item for item in refused.value.extra["errors"] if item["path"].startswith(path)]
    assert reason in problem["reason"]


async def test_unknown_fields_are_refused(api):
    manifest = {
        "apiVersion": "voicehelper.io/v1alpha1",
        "kind": "Cell",
        "metadata": {"name": "c1"},
        "spec": {"tenanzy": "shared"},
    }
    with pytest.raises(errors.InvalidArgument, match="tenanzy"):
        await api.create(manifest, manager="somebody")


async def test_secrets(api):
    secrets = kubernetes_api.KubernetesSecretStore(api, "default")
    assert await secrets.get("cell-a") is None
    await secrets.put("cell-a", {"one": "1", "two": "zwei ✓"})
    assert await secrets.get("cell-a") == {"one": "1", "two": "zwei ✓"}
    await secrets.put("cell-a", {"two": "2"})
    assert await secrets.get("cell-a") == {"two": "2"}
    assert (await api.get(SECRET, "cell-a", "default"))["metadata"]["labels"][
        "app.kubernetes.io/part-of"
    ] == "voicehelper"
    await secrets.delete("cell-a")
    await secrets.delete("cell-a")
    assert await secrets.get("cell-a") is None


async def test_a_secret_is_replaced_only_as_it_was_read(api):
    secrets = kubernetes_api.KubernetesSecretStore(api, "default")
    assert await secrets.read("shared") == (None, "")
    await secrets.replace("shared", {"one": "1"}, "")
    with pytest.raises(errors.Conflict):
        await secrets.replace("shared", {"one": "another's"}, "")
    data, version = await secrets.read("shared")
    await secrets.replace("shared", {"two": "2"}, version)
    with pytest.raises(errors.Conflict):
        await secrets.replace("shared", {"three": "3"}, version)
    assert (data, await secrets.get("shared")) == ({"one": "1"}, {"two": "2"})
    await secrets.delete("shared")


async def test_who_we_are_and_where_the_api_server_is(api, api_server):
    assert await api.whoami() == "admin"
    where = await api.endpoint()
    assert where.server in api_server.kubeconfig.read_text()
    assert where.ca and where.certificate and where.key and where.authorization is None


async def test_events(api, api_server, kubernetes_store, tenant):
    recorder, resource = kubernetes_api.KubernetesEventRecorder(api), await kubernetes_store.apply(tenant())
    for _ in range(3):
        await recorder.record(resource, "Drift", "a topic\0 was gone", warning=True)
    await recorder.record(resource, "Placed", "in cell one")
    first, second = await recorder.events("Tenant", "acme")
    assert (first.count, first.type, first.reason, first.message) == (3, "Warning", "Drift", "a topic was gone")
    assert (second.count, second.type, second.reason) == (1, "Normal", "Placed")
    assert await recorder.events("Tenant", "other") == []
    assert "a topic was gone" in api_server.kubectl("describe", "tenant", "acme")
    await recorder.close()
    await recorder.record(resource, "Placed", "in cell two")  # begins anew
    assert len(await recorder.events("Tenant", "acme")) == 3
    await recorder.close()


async def test_a_lease_has_one_holder(api):
    leases, seconds = [kubernetes_api.KubernetesLease(api, "default") for _ in range(5)], timedelta(seconds=2)
    took = await asyncio.gather(*(lease.acquire("operator", f"h{i}", seconds) for i, lease in enumerate(leases)))
    assert took.count(True) == 1
    index = took.index(True)
    late = leases[index - 1]
    assert await leases[index].acquire("operator", f"h{index}", seconds)
    assert not await late.acquire("operator", "late", seconds)
    await late.release("operator", "late")
    assert not await late.acquire("operator", "late", seconds)
    await asyncio.sleep(2.1)  # the holder is silent for longer than the lease lasts
    assert await late.acquire("operator", "late", seconds)
    assert not await leases[index].acquire("operator", f"h{index}", seconds)
    await late.release("operator", "late")
    assert await leases[index].acquire("operator", f"h{index}", seconds)


async def test_a_status_is_replaced_as_a_whole(api, kubernetes_store, tenant):
    await kubernetes_store.apply(tenant())
    at = datetime(2026, 1, 1, tzinfo=UTC)

    def condition(kind):
        return Condition(type=kind, status="True", reason="Probe", message="", last_transition_time=at)

    await kubernetes_store.update_status(
        Tenant, "acme", TenantStatus(cell="c1", conditions=[condition("Ready"), condition("Old")])
    )
    await kubernetes_store.update_status(Tenant, "acme", TenantStatus(conditions=[condition("Ready")]))
    kept = (await kubernetes_store.get(Tenant, "acme")).status
    assert kept.cell is None
    assert [item.type for item in kept.conditions] == ["Ready"]


async def test_an_object_as_large_as_the_api_server_keeps_comes_through_the_watch(
    api, kubernetes_store, tenant, watching
):
    """A mebibyte in one line: aiohttp's own reading of lines has a limit."""
    watcher = watching(kubernetes_store.watch(Tenant))
    await watcher.until(("synced", ""))
    await kubernetes_store.apply(tenant("large"))
    message = '"' * 31_000  # each needs two characters in JSON
    conditions = [
        Condition(type=f"C{n}", status="True", reason="R", message=message, last_transition_time=datetime.now(UTC))
        for n in range(16)
    ]
    await kubernetes_store.update_status(Tenant, "large", TenantStatus(conditions=conditions))
    async with asyncio.timeout(20):
        while not any(
            r and r.metadata.name == "large" and r.status.conditions == conditions for _, _, r in watcher.seen
        ):
            await asyncio.sleep(0.05)


class Server:
    """Answers watches and lists of tenants as it is told."""

    def __init__(self):
        self.asked, self.watches = [], []
        self.body = b'{"items": [], "metadata": {"resourceVersion": "1"}}'

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        settings = client.Configuration()
        settings.host, settings.client_session_kwargs = f"http://127.0.0.1:{port}", {"trust_env": False}
        self.api = kubernetes_api.Api(client.ApiClient(settings))
        return self

    async def __aexit__(self, *_):
        await self.api.close()
        self._server.close()

    async def _serve(self, reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
            watch = "watch=true" in path
            self.asked.append("watch" if watch else "list")
            body = self.body
            if watch:
                body = self.watches.pop(0) if self.watches else b""
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n" + body)
            await writer.drain()
        writer.close()


def _event(name, type_="ADDED"):
    meta = {"name": name, "uid": name, "resourceVersion": "2"}
    return json.dumps({"type": type_, "object": {"metadata": meta}}).encode() + b"\n"


GONE = json.dumps({"type": "ERROR", "object": {"code": 410, "message": "too old"}}).encode() + b"\n"


@pytest.mark.parametrize("first", [_event("half")[:40], b"<html>lost</html>\n", b"\n", b"", GONE])
async def test_a_watch_goes_on_after_what_no_api_server_says(first):
    async with Server() as server:
        server.watches += [_event("one") + first, _event("two")]
        names = []
        async with aclosing(follow(server.api, Selection(OURS["Tenant"]))) as stream, asyncio.timeout(20):
            async for delta in stream:
                names.append(delta.object.get("metadata", {}).get("name"))
                if "two" in names:
                    break
    assert list(dict.fromkeys(name for name in names if name)) == ["one", "two"]
    assert server.asked.count("list") == 1 + (first == GONE)


@pytest.mark.parametrize("end", [b"", GONE])
async def test_watches_that_end_at_once_are_not_asked_without_end(end):
    async with Server() as server:
        server.watches += [end] * 1000

        async def run():
            async with aclosing(follow(server.api, Selection(OURS["Tenant"]))) as stream:
                async for _ in stream:
                    pass

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(run(), 1.5)
    assert 2 <= server.asked.count("watch") <= 6


async def test_an_answer_that_is_not_json_is_no_answer():
    async with Server() as server:
        server.body = b"<html>a proxy that has lost its way</html>"
        with pytest.raises(errors.Unavailable, match="does not answer"):
            await server.api.get(OURS["Tenant"], "acme")
