"""Whether a release takes more memory in a cell than what ran there before. Pure.

Judged while the cell is in a stage, and while its wave comes and bakes: a process that grows without end passes every
limit sooner or later. Where nothing runs (the cell sleeps) nothing is judged.
"""

from __future__ import annotations

from datetime import timedelta

from voicehelper_crds.models import CellReleaseStatus
from voicehelper_crds.releases import ReleasedCell, WaveStatus
from voicehelper_crds.traffic import MetricStatus

from voicehelper_operator.releases import stages, waves
from voicehelper_operator.releases.observe import Observation

METRIC = "memory"
_MEBIBYTE = 2**20


def asked(seen: Observation) -> list[str]:
    """Ids of the cells whose memory has to be known for the next step."""
    status = seen.release.status
    if _limit(status) is None or status.finished_at is not None:
        return []
    return [
        entry.cell_id
        for wave in status.waves
        for entry in wave.cells
        if entry.phase == "Shifting" or _watched(wave, entry)
    ]


def begun(status: CellReleaseStatus) -> list[str]:
    """Ids of the cells that are to begin and were not weighed: it has to be done before they are told to."""
    if _limit(status) is None:
        return []
    return [
        entry.cell_id
        for wave in status.waves
        for entry in wave.cells
        if entry.phase == "Upgrading" and entry.memory_mebibytes is None
    ]


def weighed(seen: Observation, status: CellReleaseStatus) -> None:
    """Remember what cells that are to begin have resident."""
    for wave in status.waves:
        for entry in wave.cells:
            noted(seen, status, entry)


def noted(seen: Observation, status: CellReleaseStatus, entry: ReleasedCell) -> None:
    """Remember what the release is compared with."""
    if _limit(status) is None:
        return
    before, own = _resident(seen, entry, entry.previous), _resident(seen, entry, seen.release.spec.release)
    coming = entry.phase in ("Upgrading", "Shifting")
    if coming and before is not None:
        entry.memory_mebibytes = max(entry.memory_mebibytes or 1, before)
    elif entry.memory_mebibytes is None and entry.phase in ("Shifting", "Updated"):
        entry.memory_mebibytes = own


def verdict(seen: Observation, status: CellReleaseStatus, entry: ReleasedCell) -> MetricStatus | None:
    """What the memory of the release says now; None where nobody looks, or nothing runs."""
    limit, told = _limit(status), seen.memory.get(entry.cell_id)
    if limit is None or told == {}:
        return None
    own, before = _resident(seen, entry, seen.release.spec.release), entry.memory_mebibytes
    if own is None or before is None:
        why = "what runs the cell does not tell how much it has resident (Kubernetes limits it by the cell's class)"
        return MetricStatus(metric=METRIC, result="NoData", message=f"memory cannot be judged: {why}")
    more = 100 * (own - before) / before
    figures = f"{own:,} MiB resident where {before:,} MiB were before: {more:+.0f} %"
    if more > limit:
        return MetricStatus(metric=METRIC, result="Failure", message=f"{figures}, more than {limit} %")
    return MetricStatus(metric=METRIC, result="Success", message=f"{figures}, not more than {limit} %")


def failing(seen: Observation, status: CellReleaseStatus, wave: WaveStatus, entry: ReleasedCell) -> MetricStatus | None:
    """What a cell fails by in which the release serves."""
    rules = stages.analysis(status)
    if rules.dry_run or not _watched(wave, entry):
        return None
    metric = verdict(seen, status, entry)
    if metric is None or metric.result == "Success":
        return None
    unknown = metric.result == "NoData"
    return metric if not unknown or (rules.no_data == "Fail" and _held(seen, status, wave)) else None


def waits(seen: Observation, status: CellReleaseStatus, wave: WaveStatus) -> tuple[str, str] | None:
    """Why a wave goes on that has baked long enough: a reason in one word and a sentence."""
    if stages.analysis(status).dry_run or not _held(seen, status, wave):
        return None
    for entry in wave.cells:
        metric = verdict(seen, status, entry) if entry.phase == "Updated" else None
        if metric is not None and metric.result == "NoData":
            way = f"approve '{stages.APPROVAL}' of wave '{wave.name}' to go on without"
            return metric.result, f"cell '{entry.cell}': {metric.message}; {way}"
    return None


def left(status: CellReleaseStatus, wave: WaveStatus) -> float | None:
    """Seconds until the cells of a wave have to be looked at again; None where nobody looks."""
    if _limit(status) is None or wave.phase not in ("Running", "Baking") or status.strategy is None:
        return None
    return max(1.0, min(10.0, waves.rules_of(status.strategy, wave.name).bake.seconds / 20))


def _limit(status: CellReleaseStatus) -> int | None:
    return status.strategy.failure_policy.max_memory_growth_percent if status.strategy is not None else None


def _watched(wave: WaveStatus, entry: ReleasedCell) -> bool:
    return wave.phase in ("Running", "Baking") and entry.phase in ("Updated", "Failed")


def _held(seen: Observation, status: CellReleaseStatus, wave: WaveStatus) -> bool:
    """Whether the bake is over, and nobody has said that it ends without a judgement."""
    assert status.strategy is not None
    bake = timedelta(seconds=waves.rules_of(status.strategy, wave.name).bake.seconds)
    over = wave.phase == "Baking" and seen.now - wave.since >= bake
    return over and seen.release.spec.skip is None and not stages.approved(seen, wave.name)


def _resident(seen: Observation, entry: ReleasedCell, release: str) -> int | None:
    """In MiB, at least one."""
    told = seen.memory.get(entry.cell_id, {}).get(release)
    return None if told is None else max(1, round(told / _MEBIBYTE))
