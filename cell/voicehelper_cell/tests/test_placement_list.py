"""The list of placed tenants, as it changes in Postgres."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from voicehelper_cell import placements as module
from voicehelper_cell.placements import Placements
from voicehelper_cell.tests.conftest import ACME, CELL, GLOBEX, Slice
from voicehelper_core.auth import Claims
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import PermissionDenied, Unavailable

pytestmark = pytest.mark.integration


def claims(who: TenantContext) -> Claims:
    return Claims(
        iss="voicehelper", aud="voicehelper-api", sub="u1", tenant=who.tenant, tid=who.tenant_id, iat=1, exp=2, jti="j"
    )


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that is told, well before the list would be read again anyway."""
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.02)


@pytest.fixture
async def running(cell: Slice, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Placements]:
    monkeypatch.setattr(module, "_POLL_SECONDS", 3600)
    await cell.place(ACME, limits='{"tokens_per_day": 7}')
    made = Placements(cell.dsn, CELL)
    assert made.reason
    task = asyncio.create_task(made.run())
    await until(lambda: made.reason is None)
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_suspended_tenant_is_out_as_soon_as_it_is_told(running: Placements, cell: Slice) -> None:
    assert (await running.admit(claims(ACME))).tenant_id == ACME.tenant_id
    assert await running.limits(ACME) == {"tokens_per_day": 7}
    await cell.place(ACME, suspended=True)
    await until(lambda: not running.all())
    with pytest.raises(PermissionDenied, match="suspended"):
        await running.admit(claims(ACME))
    await cell.place(ACME)
    await until(lambda: bool(running.all()))
    assert await running.limits(ACME) == {}


async def test_a_tenant_that_left_is_out_and_one_that_came_is_in(running: Placements, cell: Slice) -> None:
    await cell.admin(f"delete from {CELL}_placement.tenants")
    await until(lambda: not running.all())
    with pytest.raises(PermissionDenied):
        await running.admit(claims(ACME))
    await cell.place(GLOBEX)
    await until(lambda: [who.tenant for who in running.all()] == ["globex"])


async def test_an_unknown_tenant_makes_the_list_be_read(cell: Slice, monkeypatch: pytest.MonkeyPatch) -> None:
    made: Any = Placements(cell.dsn, CELL)  # nobody listens for changes here
    monkeypatch.setattr(module, "_RELOAD_SECONDS", 0)
    with pytest.raises(PermissionDenied):
        await made.admit(claims(ACME))
    await cell.place(ACME)
    assert (await made.admit(claims(ACME))).tenant == "acme"
    await made._disconnect()


async def test_the_list_outlives_its_connection(running: Placements, cell: Slice) -> None:
    kill = "select pg_terminate_backend(pid) from pg_stat_activity where usename = $1"
    await cell.admin(kill, CELL)
    assert (await running.admit(claims(ACME))).tenant == "acme"
    await cell.place(GLOBEX)
    await asyncio.sleep(0.6)  # strangers make the list be read at most that often
    assert (await running.admit(claims(GLOBEX))).tenant == "globex"
    await cell.place(ACME, suspended=True)
    await until(lambda: [who.tenant for who in running.all()] == ["globex"])


async def test_without_a_database_nobody_is_admitted_and_nothing_breaks() -> None:
    made: Any = Placements("postgresql://nobody@127.0.0.1:1/none", CELL)
    task = asyncio.create_task(made.run())
    await until(lambda: "does not answer" in made.reason)
    with pytest.raises(Unavailable):
        await made.admit(claims(ACME))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
