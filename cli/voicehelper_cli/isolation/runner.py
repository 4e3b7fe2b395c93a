"""Runs a proof: the field, the attacks one after the other, the comparison of the victim's state, the report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from voicehelper_core.settings import distribution_version
from voicehelper_crds import Cell

from voicehelper_cli.context import Home
from voicehelper_cli.failures import Failure
from voicehelper_cli.isolation import plant
from voicehelper_cli.isolation.arena import Arena, arena
from voicehelper_cli.isolation.attack import Attack, Recorder
from voicehelper_cli.isolation.model import NOBODY, Outcome
from voicehelper_cli.isolation.report import AttackResult, Report


async def prove(
    home: Home, attacks: Sequence[Attack], *, tenant: str = "", only: Sequence[str] = (), say: Callable[[str], None]
) -> Report:
    """Make the field, attack, clean up. Raises Failure, NotRunning where it could not run."""
    began, started = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    needs = {role for item in attacks for role in item.needs}
    async with arena(home, needs=needs, tenant=tenant, say=say) as field:
        report = await attack_all(field, attacks, say=say)
    report.started, report.only = started, tuple(only)
    report.seconds = time.monotonic() - began
    return report


async def attack_all(field: Arena, attacks: Sequence[Attack], *, say: Callable[[str], None] = lambda _: None) -> Report:
    """Every attack on a field that exists; the victim's state is compared before and after."""
    cell = await field.world.resources.store.get(Cell, field.victim.cell)
    report = Report(
        version=distribution_version(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        platform=field.places.router_url,
        release=cell.status.release or "",
        victim=field.victim.name,
        cell=field.victim.cell,
    )
    began = time.monotonic()
    before = await plant.state(field.victim)
    for number, item in enumerate(attacks, 1):
        result = await run_one(field, item)
        report.results.append(result)
        bad = result.count(Outcome.leaked, Outcome.weakened)
        words = f"{bad} GOT THROUGH" if bad else "broke" if result.count(Outcome.error) else "held"
        say(f"[{number}/{len(attacks)}] {item.name}: {len(result.attempts)} tried, {words} ({result.seconds:.1f} s)")
    report.results.append(await _integrity(field, before))
    report.seconds = time.monotonic() - began
    return report


async def run_one(field: Arena, item: Attack) -> AttackResult:
    """One attack; what it raises becomes an attempt that broke."""
    recorder, began = Recorder(item.name, item.surface, field.canaries), time.monotonic()
    lacking = sorted(item.needs - field.parties.keys())
    if lacking:
        recorder.not_run(
            item.title, by=NOBODY, finding=item.name, reason=f"the proof has no {' and no '.join(lacking)}"
        )
    else:
        try:
            async with asyncio.timeout(item.seconds):
                await item.run(field, recorder)
        except TimeoutError:
            _broke(recorder, item, f"did not end within {item.seconds:g} s")
        except Exception as error:
            _broke(recorder, item, f"{type(error).__name__}: {getattr(error, 'message', error)}")
    return AttackResult(item.name, item.title, time.monotonic() - began, tuple(recorder.attempts))


def _broke(recorder: Recorder, item: Attack, reason: str) -> None:
    recorder.note(Outcome.error, item.title, "", by=NOBODY, finding=item.name, reason=reason)


async def _integrity(field: Arena, before: dict[str, str]) -> AttackResult:
    """What the attacks changed at the victim."""
    began = time.monotonic()
    recorder = Recorder("integrity", "state of the victim", field.canaries)
    what = "everything that the victim's admin sees, compared with before the attacks"
    try:
        changed = plant.changes(before, await plant.state(field.victim))
    except Failure as failure:
        changed = [f"the victim cannot read its own state any more: {failure.message}"]
    for change in changed:
        recorder.leaked(what, change, by=NOBODY, finding="integrity.victim", reason=f"a write took effect: {change}")
    if not changed:
        recorder.held(what, f"{len(before)} items unchanged", by=NOBODY, finding="integrity.victim")
    return AttackResult(
        "integrity", "Nothing of the victim has changed", time.monotonic() - began, tuple(recorder.attempts)
    )
