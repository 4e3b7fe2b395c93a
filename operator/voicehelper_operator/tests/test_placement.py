"""Properties of placement: deterministic, within capacity, where the tenant may be, and sticky."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from voicehelper_crds.validation import validate

from voicehelper_operator.tenants.observe import residents
from voicehelper_operator.tenants.placement import NotPlaced, Placed
from voicehelper_operator.tenants.placement import decide as decide_among

API = "voicehelper.io/v1alpha1"


def cell(number, region, capacity, cordoned):
    spec = {"region": region, "capacity": capacity, "cordoned": cordoned}
    made = validate({"apiVersion": API, "kind": "Cell", "metadata": {"name": f"c{number}"}, "spec": spec})
    made.status.cell_id = f"cell{number:08d}"
    return made


def tenant(number, home=None, group=None, residency=None, region=None):
    placement = {key: value for key, value in {"group": group, "region": region}.items() if value}
    spec = {"planRef": "team", "admin": {"email": "a@b.example"}, "placement": placement}
    if residency and (region in (None, residency)):
        spec["residency"] = residency
    made = validate({"apiVersion": API, "kind": "Tenant", "metadata": {"name": f"t{number}"}, "spec": spec})
    made.metadata.uid = f"uid-{number}"
    if home:
        made.status.cell, made.status.cell_id = home.metadata.name, home.status.cell_id
    return made


PLAN = validate({"apiVersion": API, "kind": "TenantPlan", "metadata": {"name": "team"}, "spec": {}})


def decide(new, plan, cells, tenants):
    """Among all tenants."""
    return decide_among(new, plan, cells, residents(new, tenants))


REGIONS = st.sampled_from(["eu", "us"])
CELLS = st.lists(st.tuples(REGIONS, st.integers(1, 4), st.booleans()), max_size=5).map(
    lambda items: [cell(number, *item) for number, item in enumerate(items)]
)
WISHES = st.tuples(st.sampled_from([None, "g1", "g2"]), st.none() | REGIONS, st.none() | REGIONS)


@st.composite
def worlds(draw):
    cells = draw(CELLS)
    placed = []
    for number in range(draw(st.integers(0, 8))):
        group, residency, region = draw(WISHES)
        new = tenant(number, None, group, residency, region)
        decision = decide(new, PLAN, cells, placed)
        if isinstance(decision, Placed):
            home = next(item for item in cells if item.metadata.name == decision.cell)
            new.status.cell, new.status.cell_id = home.metadata.name, home.status.cell_id
        placed.append(new)
    return cells, placed


@given(worlds(), WISHES, st.randoms())
def test_a_decision_depends_on_the_world_and_not_on_its_order(world, wish, random: Random):
    cells, placed = world
    new = tenant(99, None, *wish)
    first = decide(new, PLAN, cells, placed)
    shuffled, others = cells[:], placed[:]
    random.shuffle(shuffled)
    random.shuffle(others)
    second = decide(new, PLAN, shuffled, others)
    assert type(first) is type(second)
    if isinstance(first, Placed):
        assert first == second


@given(worlds(), WISHES)
def test_a_chosen_cell_has_room_and_is_allowed(world, wish):
    cells, placed = world
    new = tenant(99, None, *wish)
    decision = decide(new, PLAN, cells, placed)
    counts = Counter(item.status.cell for item in placed)
    region = new.spec.residency or new.spec.placement.region
    fitting = [
        item
        for item in cells
        if not item.spec.cordoned
        and counts[item.metadata.name] < item.spec.capacity
        and region in (None, item.spec.region)
    ]
    if isinstance(decision, NotPlaced):
        homes = {item.status.cell for item in placed if item.status.cell and item.spec.placement.group == wish[0]}
        assert not fitting or (wish[0] and homes)
        assert decision.message
    else:
        assert decision.cell in {item.metadata.name for item in fitting}


@given(worlds())
def test_capacity_is_never_exceeded_and_groups_stay_together(world):
    cells, placed = world
    counts = Counter(item.status.cell for item in placed if item.status.cell)
    assert all(counts[item.metadata.name] <= item.spec.capacity for item in cells)


@given(worlds())
def test_a_placed_tenant_stays_whatever_its_spec_says_now(world):
    cells, placed = world
    for item in placed:
        if item.status.cell:
            home = next(each for each in cells if each.metadata.name == item.status.cell)
            home.spec.cordoned, home.spec.capacity = True, 1
            decision = decide(item, PLAN, cells, placed)
            assert isinstance(decision, Placed)
            assert decision.cell == item.status.cell
            item.status.cell_id = "otherid00000"
            lost = decide(item, PLAN, cells, placed)
            assert isinstance(lost, NotPlaced)
            assert lost.reason == "CellLost"
            return
