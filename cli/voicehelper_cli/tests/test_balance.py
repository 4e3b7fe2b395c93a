"""Which tenants are moved so that cells are even, and what people see of moves."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voicehelper_cli.balance import balanced, movable
from voicehelper_cli.failures import Failure
from voicehelper_cli.moves import followed
from voicehelper_crds import Cell, Tenant, TenantMove

API = {"apiVersion": "voicehelper.io/v1alpha1"}
READY = [{"type": "Ready", "status": "True", "reason": "AllUp", "lastTransitionTime": "2026-01-01T00:00:00Z"}]


def cell(name: str, *, capacity: int = 100, ready: bool = True, **spec: Any) -> Cell:
    status = {"conditions": READY if ready else []}
    return Cell.model_validate(
        {**API, "kind": "Cell", "metadata": {"name": name}, "spec": {"capacity": capacity, **spec}, "status": status}
    )


def tenant(name: str, home: str | None, **placement: Any) -> Tenant:
    spec = {"planRef": "team", "admin": {"email": "a@b.example"}, "placement": placement}
    return Tenant.model_validate(
        {**API, "kind": "Tenant", "metadata": {"name": name}, "spec": spec, "status": {"cell": home}}
    )


def move(name: str, **status: Any) -> TenantMove:
    spec = {"tenant": "t"}
    return TenantMove.model_validate(
        {**API, "kind": "TenantMove", "metadata": {"name": name}, "spec": spec, "status": status}
    )


@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.integers(1, 12), st.booleans(), st.booleans(), st.sampled_from(["eu", "us"])),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, 5),
)
@settings(max_examples=150, deadline=None)
def test_afterwards_no_cell_has_two_more_than_another_with_room(rows: list[Any], pinned: int) -> None:
    cells = [
        cell(f"c{n}", capacity=room, cordoned=closed, ready=ready, region=region)
        for n, (_, room, closed, ready, region) in enumerate(rows)
    ]
    tenants = [
        tenant(f"t{n}-{k}", f"c{n}", **({"cell": f"c{n}"} if k < pinned else {}))
        for n, (count, *_) in enumerate(rows)
        for k in range(count)
    ]
    homes = {item.metadata.name: item.status.cell for item in tenants}
    by_name = {item.metadata.name: item for item in cells}
    steps = [*balanced(cells, tenants)]
    assert len({step.tenant for step in steps}) == len(steps), "nobody is moved twice"
    for step in steps:
        assert homes[step.tenant] == step.source
        assert by_name[step.source].spec.region == by_name[step.target].spec.region
        assert not by_name[step.target].spec.cordoned
        homes[step.tenant] = step.target
    counts = Counter(homes.values())
    stuck = Counter(item.status.cell for item in tenants if movable(item, ()))
    for target in cells:
        name = target.metadata.name
        if any(step.target == name for step in steps):
            assert counts[name] <= target.spec.capacity
        open_to = not target.spec.cordoned and target.status.conditions and counts[name] < target.spec.capacity
        for source in cells if open_to else ():
            same = source.spec.region == target.spec.region
            movable_there = counts[source.metadata.name] > stuck[source.metadata.name]
            assert not (same and movable_there) or counts[source.metadata.name] - counts[name] < 2


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (tenant("t", "c", cell="c"), "pinned"),
        (tenant("t", "c", group="g"), "group 'g'"),
        (tenant("t", "c"), "under way"),
    ],
)
def test_who_stays_where_it_is(one: Tenant, why: str) -> None:
    assert why in movable(one, [move("m")])


class Store:
    """Gives a move's states, one a look."""

    def __init__(self, *states: TenantMove) -> None:
        self.states = [*states]

    async def get(self, kind: Any, name: str) -> TenantMove:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


async def test_a_move_is_followed_until_the_tenant_lives_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicehelper_cli.moves._LOOK_SECONDS", 0)
    states = [
        move("m"),
        move("m", phase="Copying", message="copies"),
        move("m", phase="Grace", message="the target serves"),
    ]
    await followed(Store(*states), ["m"], 5)  # type: ignore[arg-type]
    assert capsys.readouterr().out.splitlines() == [
        "m: not looked at yet", "m: Copying: copies", "m: Grace: the target serves",
    ]  # fmt: skip
    with pytest.raises(Failure, match="there is no Tenant"):
        await followed(Store(move("m", phase="Refused", message="there is no Tenant 't'")), ["m"], 5)  # type: ignore[arg-type]
    with pytest.raises(Failure, match="not done yet"):
        await followed(Store(move("m", phase="Copying")), ["m"], 0)  # type: ignore[arg-type]
