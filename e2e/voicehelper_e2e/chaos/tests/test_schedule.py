"""The plan is a pure function of the seed, fair to every target, and the choices of clients repeat."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st
from voicehelper_core.fault_points import POINTS
from voicehelper_e2e.chaos.lanes import lanes, wanted
from voicehelper_e2e.chaos.schedule import TARGETS, choices, draw

SEEDS = st.integers(min_value=0, max_value=2**63)
LANES = st.dictionaries(st.text(min_size=1), st.lists(st.text(min_size=1), unique=True), max_size=3)


@settings(deadline=None, max_examples=50)
@given(SEEDS, st.integers(0, 200), LANES)
def test_a_seed_gives_one_plan(seed, kills, lanes):
    assert draw(seed, kills=kills, lanes=lanes).to_json() == draw(seed, kills=kills, lanes=lanes).to_json()


@settings(deadline=None, max_examples=50)
@given(SEEDS, st.integers(0, 200))
def test_kills_are_enough_and_fair(seed, kills):
    plan = draw(seed, kills=kills)
    hits = Counter(target for strike in plan.strikes for target in strike.targets)
    assert plan.kills == sum(hits.values()) >= kills
    assert plan.kills < kills + len(TARGETS)
    assert max(hits.values(), default=0) - min((hits[name] for name in TARGETS), default=0) <= 1
    assert all(len(set(strike.targets)) == len(strike.targets) for strike in plan.strikes)


@settings(deadline=None, max_examples=50)
@given(SEEDS, LANES)
def test_every_point_is_armed_once(seed, lanes):
    plan = draw(seed, kills=0, lanes=lanes)
    assert {lane: sorted(points) for lane, points in plan.lanes.items()} == {n: sorted(p) for n, p in lanes.items()}


@settings(deadline=None, max_examples=50)
@given(SEEDS)
def test_fifty_kills_hit_everything_five_times(seed):
    hits = Counter(target for strike in draw(seed, kills=50).strikes for target in strike.targets)
    assert all(hits[name] >= 5 for name in TARGETS)


@settings(deadline=None, max_examples=50)
@given(SEEDS, st.text(max_size=20))
def test_choices_repeat_and_their_tokens_are_unique(seed, client):
    first, again = (list(islice(choices(seed, client), 50)) for _ in range(2))
    assert first == again
    assert len({choice.token for choice in first}) == 50


def test_seeds_and_clients_differ():
    assert draw(1, kills=50) != draw(2, kills=50)
    assert next(choices(1, "a")) != next(choices(1, "b"))


def test_every_fault_point_is_in_a_lane_and_asks_for_what_gets_there():
    assert sorted(point for points in lanes().values() for point in points) == sorted(POINTS)
    assert {"move", "release", "rotation", "archive", "restore", "operator.move.cell"} <= wanted(lanes())
    assert wanted({"control-plane": ("operator.move.switch.recorded",)}) == {"move", "operator.move.switch"}
