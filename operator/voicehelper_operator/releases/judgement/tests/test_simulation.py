"""The goals, with fewer runs than ``simulate`` makes; and that it computes what the package does."""

from __future__ import annotations

import numpy as np
import pytest

from voicehelper_operator.releases.judgement import threshold
from voicehelper_operator.releases.judgement.counts import Total
from voicehelper_operator.releases.judgement.evidence import Evidence
from voicehelper_operator.releases.judgement.limit import Limit
from voicehelper_operator.releases.judgement.mixture import Direction
from voicehelper_operator.releases.judgement.tests import simulate


def figure(name: str, runs: int) -> dict[str, float]:
    return simulate.measure(name, runs, seed=7)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("name", "p95"),
    [("found-10x-equal", 33), ("found-10x-peers-9x", 20), ("found-all-bad-equal", 1), ("success-aa-equal", 45)],
)
def test_found_in_time(name: str, p95: float) -> None:
    assert figure(name, 2000)["p95_s"] <= p95


@pytest.mark.parametrize("name", ["aa-peers-9x-0.1-percent", "aa-quiet-cell-5-percent"])
def test_false_stops_are_rare(name: str) -> None:
    assert figure(name, 400)["false"] <= 0.005  # three of them would be expected in less than one of a hundred seeds


@pytest.mark.parametrize("direction", ["worse", "better"])
def test_it_computes_what_the_package_does(direction: Direction) -> None:
    limit = Limit(factor=1.3, margin=0.01)
    runs, share = 3, 0.02
    fast, fixed = simulate.PeerEvidence(direction, limit, runs), simulate.FixedEvidence(direction, share, runs)
    slow, totals = [Evidence.none(direction, limit)] * runs, [Total()] * runs
    traffic = simulate.Traffic(lambda at: at / 9, lambda at: 9 - at / 9, lambda _: 0.03, lambda _: 0.01, 1, 60)
    for _, n1, x1, n0, x0 in simulate.scrapes(traffic, runs, seed=3):
        peers, alone = fast.add(n1, x1, n0, x0), fixed.add(n1, x1, n0, x0)
        for run in range(runs):
            canary = Total(requests=n1[run], bad=x1[run])
            slow[run] = slow[run].with_batch(canary, Total(requests=n0[run], bad=x0[run]))
            totals[run] = totals[run].plus(canary)
        np.testing.assert_allclose(peers, [one.mixture for one in slow], atol=1e-9)
        np.testing.assert_allclose(alone, [threshold.log_e(one, share, direction) for one in totals], atol=1e-9)
