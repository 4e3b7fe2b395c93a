"""CellReleases for people: make one, change what a person may change, show it, follow it."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from voicehelper_core import errors
from voicehelper_core.ports import ResourceStore
from voicehelper_crds import API_VERSION, CellRelease, CellReleaseStrategy
from voicehelper_crds.releases import ReleasedCell, Wave
from voicehelper_crds.traffic import Stage, StageStatus

from voicehelper_cli.changing import changed_spec
from voicehelper_cli.failures import Failure
from voicehelper_cli.manifests import Manifest
from voicehelper_cli.output import age, say, table
from voicehelper_cli.resources import apply, find

_LOOK_SECONDS = 1.0
_ANSWER_SECONDS = 15.0
_SHOWN = ("Failed", "RollingBack", "Shifting", "Upgrading", "RolledBack", "Skipped", "Pending", "Updated")


async def begun(
    store: ResourceStore, name: str, release: str, strategy: str | None, more: dict[str, Any]
) -> CellRelease:
    """Make it, and wait until the operator has said something of it. Raises Failure where there is one already.

    ``strategy`` is a file, or the name of a CellReleaseStrategy.
    """
    spec: dict[str, Any] = {"release": release, **more}
    if strategy is not None and Path(strategy).is_file():
        try:
            spec["strategy"] = yaml.safe_load(Path(strategy).read_text())
        except yaml.YAMLError as error:
            raise Failure(f"{strategy}: {error}") from None
    elif strategy is not None:
        try:
            await store.get(CellReleaseStrategy, strategy)
        except errors.NotFound:
            raise Failure(f"there is no file '{strategy}', and no cellreleasestrategy/{strategy} either") from None
        spec["strategyRef"] = strategy
    wanted = {"apiVersion": API_VERSION, "kind": "CellRelease", "metadata": {"name": name}, "spec": spec}
    try:
        await store.get(CellRelease, name)
    except errors.NotFound:
        pass
    else:
        raise Failure(f"cellrelease/{name} is there already: choose another name")
    await apply(store, Manifest(strategy or "the command line", 1, wanted))
    end = time.monotonic() + _ANSWER_SECONDS
    while True:
        made: CellRelease = await find(store, CellRelease, name)
        if made.status.phase:
            return made
        if time.monotonic() >= end:
            raise Failure("the operator has not answered yet: see `voicehelper status`")
        await asyncio.sleep(0.2)


async def chosen(store: ResourceStore, name: str | None) -> CellRelease:
    """By name, or the newest. Raises Failure where there is none."""
    if name is not None:
        found: CellRelease = await find(store, CellRelease, name)
        return found
    known = await store.list(CellRelease)
    if not known:
        raise Failure("there are no releases: begin one with `voicehelper release start NAME RELEASE`")
    return max(known, key=lambda item: item.metadata.creation_timestamp or datetime.min.replace(tzinfo=UTC))


async def changed(store: ResourceStore, name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Replace the spec by what ``change`` makes of it. Raises Failure."""
    await changed_spec(store, CellRelease, name, change)


async def follow(store: ResourceStore, name: str | None) -> CellRelease:
    """Print what changes until it is over; the last state."""
    last: list[str] = []
    release = await chosen(store, name)
    while True:
        told = [*lines(release)]
        if told != last:
            say("\n".join(told) + "\n")
            last = told
        if release.status.finished_at is not None or release.status.phase == "Refused":
            return release
        await asyncio.sleep(_LOOK_SECONDS)
        release = await chosen(store, release.metadata.name)


def text(release: CellRelease) -> str:
    """All that there is to know of it now."""
    parts = ["\n".join(lines(release)), "\n".join(_judged(release)), _cells(release) if release.status.waves else ""]
    return "\n\n".join(part for part in parts if part)


def lines(release: CellRelease) -> Iterator[str]:
    """The head and a row a wave."""
    status = release.status
    progressing = next((item for item in status.conditions if item.type == "Progressing"), None)
    yield f"{release.metadata.name}: release {release.spec.release}, {status.phase or 'not looked at yet'}" + (
        f": {progressing.message}" if progressing is not None and progressing.message else ""
    )
    if status.skipped is not None:
        yield f"  an emergency, says {status.skipped.actor}: {status.skipped.reason}"
    if status.ended is not None:
        yield f"  ended by {status.ended.actor} ({status.ended.cause}): {status.ended.message}"
    if status.started_at is None and status.waves:
        yield f"  takes at least {_least(release)}, bakes and stages; the waves that it would have now:"
    if status.waves:
        rows = [
            [
                wave.name,
                wave.phase,
                len(wave.cells),
                sum(entry.tenants for entry in wave.cells),
                _counted(Counter(entry.phase for entry in wave.cells)),
            ]
            for wave in status.waves
        ]
        yield from (f"  {row}" for row in table(["WAVE", "PHASE", "CELLS", "TENANTS", "OF THEM"], rows).splitlines())
    yield from _shifting(release)


def _stages(release: CellRelease) -> list[Stage]:
    traffic = release.status.strategy.traffic if release.status.strategy is not None else None
    return (traffic.stages or []) if traffic is not None else []


def _shifting(release: CellRelease) -> Iterator[str]:
    """A line a cell that is in a stage."""
    stages = _stages(release)
    for entry, stage in _staged(release):
        if entry.phase == "Shifting" and stage.index < len(stages):
            weight = stages[stage.index].weight
            yield f"  {entry.cell}: stage {stage.index + 1} of {len(stages)}, {weight} % of the users"


def _judged(release: CellRelease) -> Iterator[str]:
    """A line a metric, as of the last look."""
    rows = [
        [entry.cell, item.metric, item.result, item.message]
        for entry, stage in _staged(release)
        for item in stage.metrics
    ]
    if rows:
        yield table(["CELL", "METRIC", "RESULT", "FIGURES"], rows)


def _staged(release: CellRelease) -> Iterator[tuple[ReleasedCell, StageStatus]]:
    for wave in release.status.waves:
        for entry in wave.cells:
            if entry.stage is not None:
                yield entry, entry.stage


def _counted(phases: Counter[Any]) -> str:
    return ", ".join(f"{phases[phase]} {phase}" for phase in _SHOWN if phases[phase])


def _least(release: CellRelease) -> timedelta:
    strategy, rules, each = release.status.strategy, {}, 0.0
    if strategy is not None:
        rules = {wave.name: wave for wave in strategy.waves}
    if strategy is not None and strategy.traffic is not None and release.spec.skip is None:
        each = sum(stage.seconds for stage in _stages(release)) * strategy.traffic.time_scale
    waves = [
        (len(wave.cells), rules.get(wave.name, Wave(name=wave.name))) for wave in release.status.waves if wave.cells
    ]
    return timedelta(
        seconds=sum(rule.bake.seconds + math.ceil(cells / rule.max_concurrency) * each for cells, rule in waves)
    )


def _cells(release: CellRelease) -> str:
    rows = [
        [entry.cell, wave.name, entry.phase, age(entry.since), entry.tenants, entry.previous, entry.message]
        for wave in release.status.waves
        for entry in sorted(wave.cells, key=lambda item: _SHOWN.index(item.phase))
    ]
    return table(["CELL", "WAVE", "PHASE", "SINCE", "TENANTS", "FROM", "MESSAGE"], rows)
