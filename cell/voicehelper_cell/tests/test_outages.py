"""A cell that starts while Postgres is away; what a process left behind; cursors at the ends of time."""

from __future__ import annotations

import asyncio
import types
import uuid
from typing import Any

import pytest
from voicehelper_cell import consumer as module
from voicehelper_cell import pagination
from voicehelper_cell.consumer import EventConsumer
from voicehelper_cell.placements import Placement, Placements
from voicehelper_core.auth import Claims
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import InvalidArgument, PermissionDenied, Unavailable
from voicehelper_core.events import DocumentDeleted, Envelope

CELL = "ctest0000001"
ACME = TenantContext("tacme0000001", "acme", "user-1", CELL)
LIST = {name: Placement(f"t{name}0000001", name, name == "asleep", {}) for name in ("acme", "asleep")}


def claims(tid: str | None) -> Claims:
    return Claims(iss="voicehelper", aud="voicehelper-api", sub="u", tenant="acme", tid=tid, iat=1, exp=2, jti="j")


@pytest.fixture
def unread() -> Placements:
    """Nothing listens at this address."""
    return Placements("postgresql://nobody@127.0.0.1:1/none", CELL)


def read(placements: Placements) -> None:
    placements._known = {placement.tenant_id: placement for placement in LIST.values()}


async def test_a_token_is_asked_to_wait_not_refused_while_the_list_is_unread(unread: Placements) -> None:
    for _ in range(2):
        with pytest.raises(Unavailable):
            await unread.admit(claims(ACME.tenant_id))
    with pytest.raises(Unavailable):
        unread.admit_user(claims(ACME.tenant_id))
    with pytest.raises(PermissionDenied):
        await unread.admit(claims(None))
    assert (unread.all(), await unread.limits(ACME)) == ([], {})
    read(unread)
    assert (await unread.admit(claims(ACME.tenant_id))).tenant == "acme"


async def test_an_event_waits_for_the_list_instead_of_being_lost(
    unread: Placements, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            read(unread)

    handled: list[Any] = []

    async def handle(who: TenantContext, envelope: Envelope) -> None:
        handled.append((who.tenant, envelope.event_id))

    monkeypatch.setattr(module, "asyncio", types.SimpleNamespace(sleep=pause))
    settings: Any = types.SimpleNamespace(cell_id=CELL)
    consumer = EventConsumer(settings, "document.events", "indexing", placements=unread, handler=handle)
    identifier = uuid.uuid4()
    sent = Envelope.new(
        ACME, DocumentDeleted(document_id=identifier), aggregate_id=str(identifier), aggregate_type="document"
    )
    async with asyncio.timeout(30):
        await consumer._one(types.SimpleNamespace(value=sent.to_json().encode(), offset=1))
    assert (handled, len(pauses)) == ([("acme", sent.event_id)], 3)


def test_unfinished_answers_of_suspended_tenants_are_looked_at_too(unread: Placements) -> None:
    read(unread)
    assert [who.tenant for who in unread.all()] == ["acme"]
    assert [who.tenant for who in unread.all(served=False)] == ["acme", "asleep"]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_cursor_beyond_time_is_refused(moment: str) -> None:
    with pytest.raises(InvalidArgument):
        pagination.decode_time(pagination.encode(moment, uuid.uuid4()))
