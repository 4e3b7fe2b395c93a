"""The release that is tried in a cell, in the cell's status: the router shares the users by it. Pure.

It serves its part while it is tried, and everybody while what takes its place starts elsewhere: some runtimes bring the
release to the pods that served before, one by one. Then, or when it is dropped, nobody is sent to it any more
(``leaving_since``), and it ends once every router has heard of it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from voicehelper_crds import CellStatus
from voicehelper_crds.models import CanaryStatus, Endpoints

if TYPE_CHECKING:
    from voicehelper_operator.cells.apply import Outcome
    from voicehelper_operator.cells.observe import Observation

ROUTED_SECONDS = 5.0
"""How long it goes on at least once nobody is to be sent there: until every router knows it."""


def lingering(status: CellStatus, now: datetime) -> str | None:
    """The release that runs beside what serves though it is not tried (any more); None where it may end."""
    told = status.canary
    if told is None or not told.endpoints.http:
        return None
    return None if told.leaving_since is not None and left(told, now) <= 0 else told.release


def left(told: CanaryStatus, now: datetime) -> float:
    """Seconds until it may end."""
    since = told.leaving_since or now
    return (since + timedelta(seconds=ROUTED_SECONDS) - now).total_seconds()


def reported(seen: Observation, outcome: Outcome) -> CanaryStatus | None:
    """What to report of it; None where there is none."""
    state = outcome.workload.canary if outcome.workload is not None else None
    if outcome.hibernation:
        return None
    if seen.beside:
        if outcome.canary is None:
            return None
        told = CanaryStatus(release=outcome.canary)
        return told if state is None or state.release != outcome.canary else _shown(outcome, seen.weight)
    return _shown(outcome, 100) if state is not None and _serves(seen, outcome) else _leaving(seen, outcome)


def _serves(seen: Observation, outcome: Outcome) -> bool:
    """Whether the release is through, and what takes its place does not answer (alone) yet."""
    workload = outcome.workload
    assert workload is not None and workload.canary is not None
    taken = workload.release == seen.release and workload.rolled
    return workload.canary.release == seen.release and not taken


def _shown(outcome: Outcome, weight: int) -> CanaryStatus:
    state = outcome.workload.canary if outcome.workload is not None else None
    assert state is not None
    return CanaryStatus(
        release=state.release,
        endpoints=Endpoints(http=state.http, grpc=state.grpc),
        ready=state.ready,
        restarts=state.restarts,
        weight=weight if state.ready else 0,
    )


def _leaving(seen: Observation, outcome: Outcome) -> CanaryStatus | None:
    if outcome.workload is None or outcome.workload.canary is None:
        return None
    before = seen.cell.status.canary
    told = _shown(outcome, 0)
    told.ready = False
    told.leaving_since = (before.leaving_since if before is not None else None) or seen.now
    return told
