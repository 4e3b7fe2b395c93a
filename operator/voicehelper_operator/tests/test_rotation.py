"""Rotation of a cell's passwords: whenever the operator dies, whatever runs is let in by every store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voicehelper_core import names
from voicehelper_crds import Cell, Tenant
from voicehelper_crds.validation import validate

from voicehelper_operator.cells import apply as applying
from voicehelper_operator.cells import rotation
from voicehelper_operator.slices.credentials import Rotation, digest
from voicehelper_operator.tests.memory_store import NOW
from voicehelper_operator.tests.world import Crash, World

API = "voicehelper.io/v1alpha1"
STORES = ("postgres", "kafka", "objects")


async def apply(world: World, asked: str | None = None, **spec: Any) -> None:
    annotations = {} if asked is None else {rotation.ANNOTATION: asked}
    metadata = {"name": "shared-1", "annotations": annotations}
    await world.store.apply({"apiVersion": API, "kind": "Cell", "metadata": metadata, "spec": spec})


async def made(*, seamless: bool = True, **spec: Any) -> World:
    """With a cell that is ready, and has a tenant."""
    world = World()
    world.runtime.seamless = seamless
    for kind, name, content in (
        ("CellClass", "standard", {}),
        ("TenantPlan", "team", {"isolation": "shared"}),
        ("Tenant", "acme", {"planRef": "team", "admin": {"email": "admin@acme.example"}}),
    ):
        await world.store.apply({"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": content})
    await apply(world, **spec)
    await world.settle(20)
    return world


async def cell(world: World) -> Cell:
    found: Cell = await world.store.get(Cell, "shared-1")
    return found


async def bundle(world: World) -> dict[str, str]:
    return world.secrets.bundles[names.cell_secret(str((await cell(world)).status.cell_id))]


async def open_accounts(world: World) -> dict[str, set[str]]:
    cell_id = str((await cell(world)).status.cell_id)
    return {
        item.store: {name.removeprefix(cell_id) for name in item.accounts}
        for item in world.slices
        if item.store in STORES
    }


def rotated(world: World) -> int:
    return [event[2] for event in world.events.recorded].count("CredentialsRotated")


def both() -> dict[str, set[str]]:
    return {store: {"", "_b"} for store in STORES}


def only(account: str) -> dict[str, set[str]]:
    return {store: {account} for store in STORES}


@pytest.mark.parametrize("seamless", [True, False])
async def test_each_request_rotates_once_and_a_new_operator_does_not_do_it_again(seamless: bool) -> None:
    world = await made(seamless=seamless)
    first = await bundle(world)
    assert await open_accounts(world) == only("")
    await apply(world, "one")
    await world.settle(20)
    second = await bundle(world)
    assert await open_accounts(world) == only("_b")
    assert not set(first.values()) & {value for key, value in second.items() if key.endswith("_b")}
    assert "postgres_password" not in second  # nobody needs the password of a closed account
    status = (await cell(world)).status.credentials
    assert status and (status.account, status.rotation, status.message) == ("b", "", "")
    assert (world.refused(), rotated(world), world.runtime.gaps) == ([], 1, 0)
    world.restart()
    for asked in ("one", None, "one"):
        await apply(world, asked)
        await world.settle(20)
    assert await bundle(world) == second
    await apply(world, "two")
    await world.settle(20)
    assert await open_accounts(world) == only("")
    assert (await bundle(world))["kafka_password"] not in first.values()
    assert (world.refused(), rotated(world), world.runtime.gaps) == ([], 2, 0)
    assert not [event for event in world.events.recorded if event[2] == "DriftRepaired"]


@pytest.mark.parametrize("seamless", [True, False])
async def test_dying_at_any_effect_lets_the_workload_in_all_the_time(seamless: bool) -> None:
    for at in range(1000):
        world = await made(seamless=seamless)
        await apply(world, "one")
        left = iter(range(at, -1, -1))

        def hook(name: str, world: World = world, left: Iterator[int] = left) -> None:
            assert world.refused() == [], name
            if next(left, -1) == 0:
                raise Crash(name)

        world.hook, died = hook, True
        with contextlib.suppress(Crash):
            await world.settle(20)
            died = False
        for _ in left:
            pass
        world.restart()
        await world.settle(20)
        assert await open_accounts(world) == only("_b")
        assert Rotation.of(await bundle(world)).phase == ""
        assert world.runtime.gaps == 0
        if not died:
            assert at > 15
            return
    raise AssertionError("it never came to an end")


async def test_dying_at_every_effect_comes_to_an_end_too() -> None:
    world = await made()
    await apply(world, "one")
    for _ in range(60):
        count = 0

        def hook(name: str) -> None:
            nonlocal count
            count += 1
            assert world.refused() == [], name
            if count > 13:  # one pass at rest has so many
                raise Crash(name)

        world.hook = hook
        with contextlib.suppress(Crash):
            await world.pass_once()
        world.restart()
    world.hook = lambda _: None
    await world.settle(20)
    assert await open_accounts(world) == only("_b")


async def test_the_old_account_stays_open_until_all_that_runs_is_new() -> None:
    world = await made()
    await apply(world, "one")
    world.runtime.ready = False  # what takes its place does not answer yet
    for _ in range(5):
        await world.pass_once()
    assert await open_accounts(world) == both()
    status = (await cell(world)).status.credentials
    assert status and (status.account, status.rotation) == ("b", "Moving")
    assert len(world.runtime.leaving) == 1 and world.refused() == []
    world.runtime.ready = True
    await world.settle(20)
    assert await open_accounts(world) == only("_b")


async def test_a_store_that_is_away_keeps_the_rotation_where_it_is() -> None:
    world = await made()
    kafka = world.slices[1]
    kafka.broken = "no broker answers"
    await apply(world, "one")
    for _ in range(3):
        await world.pass_once()
    status = (await cell(world)).status.credentials
    assert status and (status.account, status.rotation) == ("a", "Opening")
    assert world.refused() == []
    kafka.broken = ""
    await world.settle(20)
    assert await open_accounts(world) == only("_b")


async def test_a_store_that_is_away_at_the_end_loses_the_old_account_later() -> None:
    world = await made()

    def hook(name: str) -> None:
        if Rotation.of(next(iter(world.secrets.bundles.values()))).phase == "Closing":
            world.slices[1].broken = "no broker answers"

    await apply(world, "one")
    world.hook = hook
    for _ in range(6):
        await world.pass_once()
    assert (await open_accounts(world))["kafka"] == {"", "_b"}
    status = (await cell(world)).status.credentials
    assert status and status.rotation == "Closing"
    assert rotated(world) == 0
    world.hook, world.slices[1].broken = lambda _: None, ""
    await world.settle(20)
    assert await open_accounts(world) == only("_b")
    assert rotated(world) == 1


async def test_a_cell_that_is_never_without_requests_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await made(seamless=False)
    world.activity.busy = True
    await apply(world, "one")
    for _ in range(4):
        await world.pass_once()
    assert (await cell(world)).status.hibernation == "Idle"  # requests wait
    monkeypatch.setattr(applying, "_DRAIN_SECONDS", 0.0)
    await world.settle(20)
    found = (await cell(world)).status
    assert found.hibernation == "" and found.phase == "Ready"
    assert found.credentials and "tried again" in found.credentials.message
    assert (world.refused(), world.runtime.gaps) == ([], 0)
    world.activity.busy = False
    await world.settle(20)
    assert await open_accounts(world) == both()
    monkeypatch.setattr(applying, "_POSTPONED", timedelta(0))
    secret = names.cell_secret(str(found.cell_id))
    del world.secrets.bundles[secret]["rotation_postponed"]  # the time is over
    await world.settle(20)
    assert await open_accounts(world) == only("_b")
    assert world.runtime.gaps == 0


async def test_requests_wait_until_a_cell_that_was_stopped_answers_whatever_fails_meanwhile() -> None:
    world = await made(seamless=False)
    await apply(world, "one")
    while (await cell(world)).status.hibernation != "Idle":
        await world.pass_once()
    world.runtime.ready = False
    await world.pass_once()
    assert world.runtime.running  # with the new passwords, and does not answer yet
    world.slices[1].broken = "no broker answers"
    for _ in range(3):
        await world.pass_once()
        assert (await cell(world)).status.hibernation == "Idle"
    world.slices[1].broken, world.runtime.ready = "", True
    await world.settle(20)
    assert (await cell(world)).status.hibernation == ""
    assert await open_accounts(world) == only("_b")
    assert world.runtime.gaps == 0


@pytest.mark.parametrize("seamless", [True, False])
async def test_a_cell_that_sleeps_is_rotated_and_wakes_with_the_new_passwords(seamless: bool) -> None:
    world = await made(seamless=seamless, hibernate=True)
    await apply(world, hibernate=False)
    await world.settle(20)
    await apply(world, "one", hibernate=True)
    await world.settle(20)
    assert not world.runtime.running
    assert await open_accounts(world) == only("_b")
    await apply(world, "one", hibernate=False)
    await world.settle(20)
    assert world.runtime.running
    assert world.refused() == []


async def test_passwords_of_before_are_taken_over_and_rotated_by_age() -> None:
    world = await made()
    secret = names.cell_secret(str((await cell(world)).status.cell_id))
    kept = world.secrets.bundles[secret]
    assert kept.pop("rotated_at")  # as a version without rotation left it
    world.restart()
    await world.settle(20)
    assert {key: value for key, value in (await bundle(world)).items() if key != "rotated_at"} == kept
    assert await open_accounts(world) == only("")
    old = world.now - timedelta(days=90)
    world.secrets.bundles[secret]["rotated_at"] = old.isoformat()
    await world.settle(20)
    assert await open_accounts(world) == only("_b")
    assert rotated(world) == 1


async def test_the_end_of_a_cell_in_the_middle_of_it_leaves_nothing() -> None:
    world = await made(deletion={"policy": "Delete"})
    await apply(world, "one", deletion={"policy": "Delete"})
    world.runtime.ready = False
    for _ in range(4):
        await world.pass_once()
    assert await open_accounts(world) == both()
    await world.store.delete(Tenant, "acme")
    await world.store.delete(Cell, "shared-1")
    await world.settle(30)
    assert not world.secrets.bundles.keys() & {name for name in world.secrets.bundles if name.startswith("cell-")}
    assert not [name for item in world.slices for name in item.accounts]


@given(st.integers(1, 3650), st.from_regex(r"\A[a-z][a-z0-9]{11}\Z"))
def test_old_passwords_are_due_within_the_last_tenth_of_their_time(days: int, cell_id: str) -> None:
    resource = validate({"apiVersion": API, "kind": "Cell", "metadata": {"name": "c1"}, "spec": {}})
    assert isinstance(resource, Cell)
    resource.status.cell_id = cell_id
    age = timedelta(days=days)
    assert rotation.due(resource, Rotation(rotated_at=NOW - age), days, NOW)
    assert not rotation.due(resource, Rotation(rotated_at=NOW - age * 0.89), days, NOW)
    assert not rotation.due(resource, Rotation(rotated_at=NOW - age), 0, NOW)
    assert not rotation.due(resource, Rotation(rotated_at=NOW - age, phase="Moving"), days, NOW)
    resource.metadata.annotations[rotation.ANNOTATION] = ""
    assert rotation.due(resource, Rotation(rotated_at=NOW), 0, NOW)
    assert not rotation.due(resource, Rotation(rotated_at=NOW, asked=digest("")), 0, NOW)
