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


def _left_out(seen: Observation, facts: Facts) -> str:
    return facts.barred or ("it has the release already" if facts.release == seen.release.spec.release else "")


def _ordered(cells: Iterable[Facts], wave: Wave) -> list[Facts]:
    by_name = sorted(cells, key=lambda item: item.name)
    match wave.sort_key:
        case "Name":
            return by_name
        case "Tenants":
            return sorted(by_name, key=lambda item: (not item.tenants, item.tenants))  # nobody tells of an empty one
        case "Age":
            return sorted(by_name, key=lambda item: item.created or _NEVER, reverse=True)
