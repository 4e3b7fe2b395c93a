"""One campaign: tenants are founded, clients work, the schedule's strikes and fault points hit, the oracle judges."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import yaml
from voicehelper_core.errors import NotFound
from voicehelper_core.ports import ResourceStore
from voicehelper_crds import Cell, CellRelease, Tenant, TenantMove
from voicehelper_crds.resource import Resource
from voicehelper_embedded.throwaway import ROOT, tenant

from voicehelper_e2e.chaos import oracle
from voicehelper_e2e.chaos.archiving import Archiving
from voicehelper_e2e.chaos.churn import Churn
from voicehelper_e2e.chaos.clients import working
from voicehelper_e2e.chaos.lanes import Lane, wanted
from voicehelper_e2e.chaos.ledger import Ledger
from voicehelper_e2e.chaos.moving import ANNEX, Moving, Wandering
from voicehelper_e2e.chaos.oracle import Finding
from voicehelper_e2e.chaos.platform import FiredOn, Kill, NotBack
from voicehelper_e2e.chaos.recoveries import Recoveries
from voicehelper_e2e.chaos.releasing import Releasing, following
from voicehelper_e2e.chaos.rotating import Rotating
from voicehelper_e2e.chaos.schedule import Schedule, Strike

TENANTS = {"chaos-a": "team", "chaos-b": "team", "chaos-own": "enterprise"}
"""Tenants of a campaign with their plans: two share a cell, one has its own."""
WANDERER = "chaos-b"
"""The one that moves to another cell and back, where points of moves are to be struck."""
CALM_SECONDS = 4.0
"""Clients work for so long after the last strike."""
_RUNS_SECONDS = 20
_POLL_SECONDS = 0.3
Say = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """What came of a campaign."""

    schedule: Schedule
    ledger: Ledger = field(default_factory=Ledger)
    recoveries: Recoveries = field(default_factory=Recoveries)
    kills: list[Kill] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)
    """Fault points at which a process died."""
    undone: list[str] = field(default_factory=list)
    """Strikes and points that the time did not suffice for, or that nobody got to."""
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Nothing lost, everybody back, everything done."""
        return not (self.findings or self.recoveries.unreturned or self.undone)


async def found(fired: FiredOn) -> list[str]:
    """The campaign's tenants, new and Ready; names. Raises AssertionError, NotBack where they do not become so."""
    await disband(fired)  # of an earlier campaign: its documents are not in this one's ledger
    for name in ("plans", "cell-shared"):
        fired.platform.cli("apply", "-f", str(ROOT / "examples" / f"{name}.yaml"))
    manifests = [tenant(name, plan) for name, plan in TENANTS.items()]
    fired.platform.cli("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))
    for name in TENANTS:
        fired.platform.cli("wait", f"tenant/{name}", "--for", "condition=Ready", "--timeout", "170s")
    return list(TENANTS)


async def run(
    fired: FiredOn, schedule: Schedule, tenants: Sequence[str], *, minutes: float, say: Say, settle: float = 180.0
) -> Outcome:
    """Carry out a schedule within ``minutes``; then the oracle has ``settle`` seconds."""
    outcome, begun = Outcome(schedule), time.monotonic()
    before = await oracle.left_over(fired, outcome.ledger)
    releases = "release" in wanted(schedule.lanes)
    try:
        async with (
            following(fired) if releases else contextlib.nullcontext(),
            working(fired, tenants, schedule.seed, ledger=outcome.ledger),
            _coming_and_going(fired, schedule, outcome.ledger),
        ):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(minutes * 60):
                    await _fire(fired, schedule, outcome, say)
                    await asyncio.sleep(CALM_SECONDS)
        say("clients rest; the stores are compared")
        outcome.findings = await oracle.check(fired, outcome.ledger, settle=settle, ignore=before, say=say)
    except* NotBack as group:
        outcome.recoveries.unreturned += map(str, raised(group))
    finally:
        for point in fired.armed():
            fired.disarm(point)
    outcome.undone += [p for points in schedule.lanes.values() for p in points if p not in outcome.struck]
    if (missing := schedule.kills - len(outcome.kills)) > 0:
        outcome.undone.append(f"{missing} kills")
    outcome.seconds = time.monotonic() - begun
    return outcome


async def _fire(fired: FiredOn, schedule: Schedule, outcome: Outcome, say: Say) -> None:
    """Strikes and lanes of fault points, all at once."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_strikes(fired, schedule.strikes, outcome, say))
        for name, points in schedule.lanes.items():
            group.create_task(Lane(fired, name, outcome.recoveries, outcome.struck, say).run(points))


@asynccontextmanager
async def _coming_and_going(fired: FiredOn, schedule: Schedule, ledger: Ledger) -> AsyncIterator[None]:
    """Tenants come and go as long as the block runs; those that are under way then are deleted.

    They move, and releases come, where points are to be struck that are got to by that.
    """
    stop, acts = asyncio.Event(), wanted(schedule.lanes)
    async with asyncio.TaskGroup() as group:
        for plan in sorted(set(TENANTS.values())):
            group.create_task(Churn(fired, ledger, schedule.seed, plan).run(stop))
        group.create_task(Archiving(fired, ledger, schedule.seed, "team", prefix="churn-archived").run(stop))
        group.create_task(Rotating(fired, ledger, schedule.seed, "enterprise", prefix="churn-rotated").run(stop))
        if "move" in acts:
            group.create_task(Wandering(fired, ledger, WANDERER).run(stop))
        if "operator.move.cell" in acts:
            group.create_task(Moving(fired, ledger, schedule.seed, "team", prefix="churn-moved").run(stop))
        if "release" in acts:
            group.create_task(Releasing(fired, ledger).run(stop))
        try:
            yield
        finally:
            stop.set()


def raised(error: BaseException) -> list[BaseException]:
    """What a group of tasks raised, one by one."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [inner for one in error.exceptions for inner in raised(one)]


async def _strikes(fired: FiredOn, strikes: Sequence[Strike], outcome: Outcome, say: Say) -> None:
    for number, strike in enumerate(strikes, 1):
        await asyncio.sleep(strike.pause)
        victims = [_victim(outcome.ledger, target) for target in strike.targets]
        kills = [kill for kill in [await _kill(fired, victim) for victim in victims] if kill]
        outcome.kills += kills
        times = await asyncio.gather(*(fired.returned(kill) for kill in kills))
        for target, seconds in zip(strike.targets, times, strict=False):
            outcome.recoveries.add(target, seconds)
        told = ", ".join(f"{t} back after {s:.1f} s" for t, s in zip(strike.targets, times, strict=False))
        say(f"strike {number}/{len(strikes)}: {told}")


async def _kill(fired: FiredOn, name: str) -> Kill | None:
    """It may be starting again at the moment, after another strike."""
    end = time.monotonic() + _RUNS_SECONDS
    while (kill := await fired.kill(name)) is None and time.monotonic() < end:
        await asyncio.sleep(_POLL_SECONDS)
    return kill


def _victim(ledger: Ledger, target: str) -> str:
    """The name of a process; ``cell:shared`` is the cell of the first tenant that shares one, and so on."""
    if not target.startswith("cell:"):
        return target
    plan = "team" if target == "cell:shared" else "enterprise"
    name = next(name for name in ledger.tenants if TENANTS.get(name) == plan)
    return f"cell-{ledger.tenants[name].cell_id}"


async def disband(fired: FiredOn) -> None:
    """Delete the campaign's tenants, then its cell, and wait until they are gone. Raises NotBack."""
    async with fired.resources() as store:
        for names in (
            [(kind, name) for kind in (CellRelease, TenantMove, Tenant) for name in await _ours(store, kind)],
            [(Cell, ANNEX)],
        ):
            for kind, name in names:
                with contextlib.suppress(NotFound):
                    await store.delete(kind, name)
            await _gone(store, {name for _, name in names})


async def _ours(store: ResourceStore, kind: type[Resource]) -> list[str]:
    names = [item.metadata.name for item in await store.list(kind)]
    return [name for name in names if name.startswith(("chaos-", "churn-"))]


async def _gone(store: ResourceStore, names: set[str]) -> None:
    end = time.monotonic() + 120
    while left := {item.metadata.name for item in (*await store.list(Tenant), *await store.list(Cell))} & names:
        if time.monotonic() > end:
            raise NotBack(f"not gone after 120 s: {', '.join(sorted(left))}")
        await asyncio.sleep(_POLL_SECONDS)
