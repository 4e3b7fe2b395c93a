"""Who is let into a cell: the logic, without a database."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from voicehelper_cell.placements import Placement, Placements
from voicehelper_core.auth import Claims
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import PermissionDenied
from voicehelper_core.events import ConversationCreated, Envelope

CELL = "ctest0000001"
ACME = Placement("tacme0000001", "acme", False, {"tokens_per_day": 5})
ASLEEP = Placement("tasleep00001", "asleep", True, {})


def claims(**more: Any) -> Claims:
    body: dict[str, Any] = {
        "iss": "voicehelper", "aud": "voicehelper-api", "sub": "u1", "tenant": "acme", "tid": "tacme0000001",
        "iat": 1, "exp": 2, "jti": "j", "roles": ["member"],
    }  # fmt: skip
    return Claims(**(body | more))


def envelope(tenant_id: str) -> Envelope:
    who = TenantContext(tenant_id, "whatever", "u1", CELL)
    payload = ConversationCreated(conversation_id=uuid.uuid4(), title="", mode="chat")
    return Envelope.new(who, payload, aggregate_id="a", aggregate_type="conversation")


@pytest.fixture
def placements(monkeypatch: pytest.MonkeyPatch) -> Placements:
    made = Placements("postgresql://nowhere.invalid/", CELL)
    made._known = {placement.tenant_id: placement for placement in (ACME, ASLEEP)}
    made.loads = []  # type: ignore[attr-defined]

    async def load() -> None:
        import time

        made.loads.append(1)  # type: ignore[attr-defined]
        made._loaded = time.monotonic()

    monkeypatch.setattr(made, "_load", load)
    return made


async def test_a_placed_tenants_user_is_admitted(placements: Placements) -> None:
    who = await placements.admit(claims(scopes=["x"]))
    assert (who.tenant_id, who.tenant, who.user_id, who.cell_id) == ("tacme0000001", "acme", "u1", CELL)
    assert (who.roles, who.scopes) == ({"member"}, {"x"})
    assert await placements.limits(who) == {"tokens_per_day": 5}


@pytest.mark.parametrize(
    "more",
    [
        {"tid": "tother000001"},
        {"tid": None},
        {"tid": ""},
        {"tid": None, "tenant": "_public"},
        {"tenant": "globex"},  # a recreated tenant's name on the old id, or the other way round
        {"tenant": "Acme"},
        {"tid": "tasleep00001", "tenant": "asleep"},
    ],
)
async def test_everybody_else_is_refused(placements: Placements, more: dict[str, Any]) -> None:
    with pytest.raises(PermissionDenied):
        await placements.admit(claims(**more))
    with pytest.raises(PermissionDenied):
        placements.admit_known(claims(**more))


@pytest.mark.parametrize("more", [{"roles": ["service"]}, {"roles": [], "scopes": ["probe"]}])
async def test_a_service_token_is_no_user(placements: Placements, more: dict[str, Any]) -> None:
    with pytest.raises(PermissionDenied, match="service token"):
        placements.admit_user(claims(**more))


async def test_strangers_do_not_become_load_on_the_database(placements: Placements) -> None:
    for number in range(200):
        with pytest.raises(PermissionDenied):
            await placements.admit(claims(tid=f"tstranger{number:03d}"))
    assert len(placements.loads) <= 2  # type: ignore[attr-defined]


async def test_events_of_placed_tenants_are_admitted_and_others_are_not(placements: Placements) -> None:
    who = await placements.admit_event(envelope("tacme0000001"))
    assert (who.tenant, who.user_id, who.cell_id) == ("acme", "u1", CELL)
    with pytest.raises(PermissionDenied):
        await placements.admit_event(envelope("tother000001"))


async def test_work_without_a_user_is_done_for_those_who_are_awake(placements: Placements) -> None:
    assert [(who.tenant, who.user_id) for who in placements.all()] == [("acme", "system")]
