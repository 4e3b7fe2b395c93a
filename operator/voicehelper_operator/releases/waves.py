"""Which cells form which wave. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from voicehelper_crds.releases import Bake, ReleasedCell, Strategy, Wave, WaveStatus

from voicehelper_operator.releases import stages
from voicehelper_operator.releases.observe import Facts, Observation, selects

REST = "rest"
"""Name of the wave of those that no other one takes."""
_NO_STAGES = "no release can be tried beside services that call each other by name (spec.topology is expanded)"
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def shipped() -> list[Wave]:
    """One box, then a tenth, then all, each watched for longer."""
    return [
        Wave(name="one-box", max_cells=1, bake=Bake(seconds=600)),
        Wave(name="tenth", percent=10, bake=Bake(seconds=1800)),
        Wave(name="all", bake=Bake(seconds=1800)),
    ]


def settled(strategy: Strategy) -> Strategy:
    """The strategy with the waves and stages that hold."""
    waves = strategy.waves or shipped()
    return strategy.model_copy(update={"waves": waves, "traffic": stages.settled(strategy.traffic)}, deep=True)


def chosen(seen: Observation, strategy: Strategy, since: datetime) -> list[WaveStatus]:
    """All cells by wave, in the order in which they are begun; those that no rollout may take are told as left out."""
    wanted = [facts for facts in seen.cells.values() if selects(seen.release.spec.cell_selector, facts.labels)]
    left = {facts.name: facts for facts in wanted}
    waves: list[WaveStatus] = []
    for wave in strategy.waves:
        matching = _ordered((item for item in left.values() if selects(wave.cell_selector, item.labels)), wave)
        takeable = [item for item in matching if not _left_out(seen, item)]
        most = math.ceil(len(takeable) * wave.percent / 100)
        taken = takeable[: min(most, wave.max_cells or most)]
        if len(taken) == len(takeable):  # those that are left out are told where they would have been
            taken = matching
        for item in taken:
            del left[item.name]
        waves.append(_wave(seen, wave.name, taken, since))
    if left:
        waves.append(_wave(seen, REST, _ordered(left.values(), Wave(name=REST)), since))
    return waves


def rules_of(strategy: Strategy, name: str) -> Wave:
    """Those of a wave; the rest goes like the last one."""
    found = next((wave for wave in strategy.waves if wave.name == name), None)
    return found or strategy.waves[-1].model_copy(update={"name": name})


def newcomers(seen: Observation, waves: Sequence[WaveStatus]) -> list[ReleasedCell]:
    """Cells that came after the choice and do not have the release."""
    known = {(entry.cell, entry.cell_id) for wave in waves for entry in wave.cells}
    fresh = [
        facts
        for facts in seen.cells.values()
        if (facts.name, facts.id) not in known
        and selects(seen.release.spec.cell_selector, facts.labels)
        and not _left_out(seen, facts)
    ]
    return [_entry(seen, facts, seen.now) for facts in sorted(fresh, key=lambda item: item.name)]


def _wave(seen: Observation, name: str, cells: Iterable[Facts], since: datetime) -> WaveStatus:
    return WaveStatus(name=name, since=since, cells=[_entry(seen, facts, since) for facts in cells])


def _entry(seen: Observation, facts: Facts, since: datetime) -> ReleasedCell:
    why = _left_out(seen, facts)
    return ReleasedCell(
        cell=facts.name,
        cell_id=facts.id,
        previous=facts.release,
        tenants=facts.tenants,
        phase="Skipped" if why else "Pending",
        since=since,
        message=why,
    )


def refused(seen: Observation) -> tuple[str, str] | None:
    """Why a release that has not begun must not: it is to have stages, and among its cells are some without."""
    wanted = [facts for facts in seen.cells.values() if selects(seen.release.spec.cell_selector, facts.labels)]
    names = sorted(facts.name for facts in wanted if not _here(seen, facts) and not _stageable(seen, facts))
    if not names:
        return None
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    told = f"{shown}: {_NO_STAGES}; leave spec.strategy.traffic out, or leave them out with spec.cellSelector"
    return "StagesNotSupported", told


def _left_out(seen: Observation, facts: Facts) -> str:
    return _here(seen, facts) or ("" if _stageable(seen, facts) else _NO_STAGES)


def _here(seen: Observation, facts: Facts) -> str:
    """Why there is nothing to do about a cell, or nothing may be done."""
    return facts.barred or ("it has the release already" if facts.release == seen.release.spec.release else "")


def _stageable(seen: Observation, facts: Facts) -> bool:
    """Whether the cell can have the stages of the release, if there are any."""
    strategy = seen.release.status.strategy if seen.release.status.started_at is not None else seen.strategy
    traffic = stages.settled(strategy.traffic) if strategy is not None else None
    staged = traffic is not None and traffic.stages and seen.release.spec.skip is None
    return facts.topology in seen.canaries or not staged


def _ordered(cells: Iterable[Facts], wave: Wave) -> list[Facts]:
    by_name = sorted(cells, key=lambda item: item.name)
    match wave.sort_key:
        case "Name":
            return by_name
        case "Tenants":
            return sorted(by_name, key=lambda item: (not item.tenants, item.tenants))  # nobody tells of an empty one
        case "Age":
            return sorted(by_name, key=lambda item: item.created or _NEVER, reverse=True)
