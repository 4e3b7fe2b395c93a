"""A seed is a run."""

from __future__ import annotations

from voicehelper_e2e.bad_api.schedule import REQUESTS, WATCHES, Schedule


def test_the_same_seed_spoils_the_same():
    one, two, other = (Schedule(seed, 0.3) for seed in (7, 7, 8))
    drawn = [[schedule.draw(watch=number % 5 == 0) for number in range(300)] for schedule in (one, two, other)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert set(one.done) == {*REQUESTS, *WATCHES}
    assert [Schedule(1, 0.0).draw(watch=True) for _ in range(100)] == [None] * 100
