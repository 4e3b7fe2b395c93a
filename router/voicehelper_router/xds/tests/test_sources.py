"""From resources to the cache, and between cache and disk."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from voicehelper_core.ports import Change
from voicehelper_crds import Cell, Tenant
from voicehelper_router.xds import facts, persist, store
from voicehelper_router.xds.cache import Cache

NOW = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
CELL_ID = "aaaaaaaaaaaa"


def a_tenant(
    name: str = "acme", *, conditions: dict[str, str] | None = None, suspended: bool = False,
    held_by: str | None = None, **meta: Any,
) -> Tenant:  # fmt: skip
    status: dict[str, Any] = {
        "cellId": CELL_ID,
        "heldBy": held_by,
        "conditions": [
            {"type": kind, "status": value, "reason": "R", "lastTransitionTime": NOW}
            for kind, value in ({"Routable": "True"} if conditions is None else conditions).items()
        ],
    }
    return Tenant.model_validate(
        {
            "kind": "Tenant",
            "metadata": {"name": name, **meta},
            "spec": {"planRef": "team", "admin": {"email": "a@example.com"}, "suspended": suspended},
            "status": status,
        }
    )


def a_cell(
    name: str = "one", http: str | None = "127.0.0.1:1", cell_id: str | None = CELL_ID, grpc: str | None = None,
    hibernation: str = "", **meta: Any,
) -> Cell:  # fmt: skip
    return Cell.model_validate(
        {
            "kind": "Cell",
            "metadata": {"name": name, **meta},
            "status": {
                "cellId": cell_id,
                "endpoints": {"http": http, "grpc": grpc},
                "hibernation": hibernation,
            },
        }
    )


@pytest.mark.parametrize(
    ("resource", "state"),
    [
        (a_tenant(), "routable"),
        (a_tenant(conditions={"Routable": "True", "Ready": "False"}), "routable"),
        (a_tenant(held_by="to-large"), "held"),
        (a_tenant(held_by="to-large", suspended=True), "suspended"),
        (a_tenant(held_by="to-large", conditions={}), "unavailable"),
        (a_tenant(conditions={}), "unavailable"),
        (a_tenant(conditions={"Routable": "False"}), "unavailable"),
        (a_tenant(conditions={"Routable": "Unknown"}), "unavailable"),
        (a_tenant(suspended=True), "suspended"),
        (a_tenant(conditions={"Routable": "True", "Suspended": "True"}), "suspended"),
        (a_tenant(conditions={"Routable": "True", "Suspended": "False"}), "routable"),
        (a_tenant(deletionTimestamp=NOW), "unavailable"),
        (a_tenant(deletionTimestamp=NOW, suspended=True), "suspended"),
        (a_tenant(deletionTimestamp=NOW, conditions={"Routable": "True", "Paused": "True"}), "routable"),
        (a_tenant(deletionTimestamp=NOW, conditions={"Routable": "True", "Paused": "False"}), "unavailable"),
    ],
)
def test_state_of_a_tenant(resource: Tenant, state: str) -> None:
    assert facts.tenant(resource).state == state


@pytest.mark.parametrize("http", ["nohost", "host:0", "host:99999", "a b:80", "host:80/x", "http://host:80"])
def test_cell_without_a_usable_endpoint(http: str | None) -> None:
    assert facts.cell(a_cell(http=http)) is None


@pytest.mark.parametrize(
    ("hibernation", "http", "meets"),
    [
        ("", "127.0.0.1:1", "cell"),
        ("", None, "held"),
        ("", "", "held"),
        ("Idle", "127.0.0.1:1", "held"),
        ("Idle", None, "held"),
        ("Idle", "nohost", "held"),
        ("Forced", "127.0.0.1:1", "asleep"),
        ("Forced", None, "asleep"),
    ],
)
def test_what_requests_to_a_cell_meet(hibernation: str, http: str | None, meets: str) -> None:
    found = facts.cell(a_cell(http=http, hibernation=hibernation))
    assert found is not None
    assert found.meets == meets


def test_nobody_waits_for_a_cell_that_goes() -> None:
    assert facts.cell(a_cell(http=None, deletionTimestamp=NOW)) is None
    assert facts.cell(a_cell(deletionTimestamp=NOW)) is not None
    assert facts.cell(a_cell(cell_id=None)) is None


def test_bad_grpc_endpoint_costs_only_grpc() -> None:
    assert facts.cell(a_cell(grpc="bad")) == facts.CellFacts(cell_id=CELL_ID, http="127.0.0.1:1")


def applied(resource: Tenant | Cell) -> Change:
    return Change("applied", resource.kind, resource.metadata.name, resource)


SYNCED = Change("synced", "", "", None)


def meets(cache: Cache, tenant: str) -> str | None:
    assert cache.snapshot is not None
    scope = cache.snapshot.scopes.get(f"tenant:{tenant}")
    return scope.configuration if scope else None


def test_nothing_is_published_before_the_list_is_complete() -> None:
    cache = Cache()
    follower = store.Follower(cache)
    follower.take(applied(a_tenant()))
    assert cache.snapshot is None
    follower.take(applied(a_cell()))
    follower.take(SYNCED)
    assert meets(cache, "acme") == f"cell-{CELL_ID}"


def test_changes_after_the_list() -> None:
    cache = Cache()
    follower = store.Follower(cache)
    follower.take(SYNCED)
    follower.take(applied(a_tenant()))
    assert meets(cache, "acme") == "_unavailable"
    follower.take(applied(a_cell()))
    assert meets(cache, "acme") == f"cell-{CELL_ID}"
    follower.take(applied(a_cell(http="127.0.0.1:2")))
    assert cache.cells[CELL_ID].http == "127.0.0.1:2"
    follower.take(applied(a_cell(cell_id="bbbbbbbbbbbb")))
    assert set(cache.cells) == {"bbbbbbbbbbbb"}
    assert meets(cache, "acme") == "_unavailable"
    follower.take(Change("deleted", "Cell", "one", None))
    assert not cache.cells
    follower.take(Change("deleted", "Tenant", "acme", None))
    assert meets(cache, "acme") is None


def test_a_list_replaces_what_came_from_disk() -> None:
    cache = Cache()
    cache.mark("from disk")
    cache.load([facts.TenantFacts(name="old", state="suspended")], [])
    follower = store.Follower(cache)
    follower.take(applied(a_tenant()))
    follower.take(SYNCED)
    assert set(cache.tenants) == {"acme"}
    assert cache.stale_since is None


def test_what_does_not_change_wakes_nobody() -> None:
    cache = Cache()
    follower = store.Follower(cache)
    for change in (applied(a_tenant()), applied(a_cell()), SYNCED):
        follower.take(change)
    event = cache.listen()
    follower.take(applied(a_tenant(conditions={"Routable": "True", "Ready": "True"})))
    follower.take(applied(a_cell()))
    assert not event.is_set()


class Watched:
    """A store whose watch breaks once."""

    def __init__(self) -> None:
        self.watches = 0

    async def watch(self, *kinds: Any) -> Any:
        self.watches += 1
        if self.watches == 1:
            yield applied(a_tenant("half"))
            raise ValueError("a row that nobody understands")
        yield applied(a_tenant())
        yield SYNCED
        await asyncio.Event().wait()


async def test_a_watch_that_breaks_is_begun_again() -> None:
    cache = Cache()
    task = asyncio.create_task(store.follow(Watched(), cache, 0.01))  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        while cache.snapshot is None:
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert set(cache.tenants) == {"acme"}
    assert cache.stale_since is None


async def test_postgres_away_and_back() -> None:
    cache, away = Cache(), True
    cache.load([], [])
    cache.synced = True

    async def alive() -> None:
        if away:
            raise ConnectionRefusedError

    task = asyncio.create_task(store.probe(alive, cache, 0.01))
    async with asyncio.timeout(5):
        while cache.stale_since is None:
            await asyncio.sleep(0.01)
        assert "Postgres" in cache.stale_reason
        away = False
        while cache.stale_since is not None:
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_snapshot_survives_on_disk(tmp_path: Path) -> None:
    path, cache = tmp_path / "deep" / "snapshot.json", Cache()
    task = asyncio.create_task(persist.keep(path, cache, 0.01))
    await asyncio.sleep(0)
    cache.load([facts.tenant(a_tenant())], [facts.CellFacts(cell_id=CELL_ID, http="127.0.0.1:1")])
    async with asyncio.timeout(5):
        while not path.exists():
            await asyncio.sleep(0.01)
    cache.set_tenant("late", facts.TenantFacts(name="late", state="suspended"))
    task.cancel()  # a stopping process still saves what it knows
    await asyncio.gather(task, return_exceptions=True)
    saved = persist.load(path)
    assert saved is not None
    assert {item.name for item in saved.tenants} == {"acme", "late"}
    assert [path.name for path in path.parent.iterdir()] == ["snapshot.json"]


@pytest.mark.parametrize("content", ["", "{", '{"tenants": []}', '{"saved_at": "x"}', "\x00"])
def test_broken_snapshot_is_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "snapshot.json"
    path.write_text(content)
    assert persist.load(path) is None
    assert persist.load(tmp_path / "missing.json") is None


def test_an_inconsistent_snapshot_leaves_the_last_one() -> None:
    cache = Cache()
    cache.load([facts.TenantFacts(name="acme", state="suspended")], [])
    before = cache.snapshot
    cache.load([facts.TenantFacts(name="___public", state="suspended")], [])
    assert cache.snapshot is before
