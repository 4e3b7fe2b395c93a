"""A fleet of pretended cells under the real planner, on a clock of its own: seeded, and checked at every step."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from voicehelper_crds import CellRelease, ObjectMeta
from voicehelper_crds.models import CellReleaseSpec, CellReleaseStatus

from voicehelper_operator.releases import memory, shifting, stages, windows
from voicehelper_operator.releases.observe import Canary, Facts, Observation
from voicehelper_operator.releases.plan import advance, finished
from voicehelper_operator.releases.progress import HAS_FAILED, IN_FLIGHT, entries
from voicehelper_operator.releases.traffic import BOUNDS, Counters, Reading
from voicehelper_operator.releases.waves import rules_of

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
Fault = Literal["", "never-up", "cannot-start", "sick-later", "tenant-sick", "dies", "errors", "slow", "leaks"]


@dataclass(slots=True)
class Requests:
    """How many came, failed, and were slow (more than half a second)."""

    total: float = 0.0
    errors: float = 0.0
    slow: float = 0.0

    def add(self, count: float, errors: float, slow: float) -> None:
        self.total += count
        self.errors += count * errors
        self.slow += count * slow

    def counters(self) -> Counters:
        """What a router tells of them."""
        total, fast = int(self.total), int(self.total) - int(self.slow)
        return (total, int(self.errors), total, *(total if bound > 0.5 else fast for bound in BOUNDS))


@dataclass(slots=True)
class FakeCell:
    """Takes ``seconds`` to run what it is told; with ``fault`` the new release fails in its way.

    ``tried`` is a release that runs beside the one that serves, for ``weight`` percent of ``rate`` requests a second.
    """

    name: str
    id: str
    release: str
    tenants: int
    seconds: float
    fault: Fault = ""
    barred: str = ""
    told: str = ""
    told_at: datetime = START
    up_at: datetime | None = None
    tried: str = ""
    tried_at: datetime = START
    weight: int = 0
    rate: float = 100.0
    counted_at: datetime = START
    serving: Requests = field(default_factory=Requests)
    canary: Requests = field(default_factory=Requests)

    def try_out(self, release: str, weight: int, now: datetime) -> None:
        self.count(now)
        if release != self.tried:
            self.tried, self.tried_at = release, now
        self.weight = weight

    def count(self, now: datetime) -> None:
        """The requests since the last time: one of a thousand fails or is slow anyway."""
        total, self.counted_at = (now - self.counted_at).total_seconds() * self.rate, now
        part = total * self.weight / 100
        self.serving.add(total - part, 0.001, 0.001)
        self.canary.add(part, 0.05 if self.fault == "errors" else 0.001, 0.2 if self.fault == "slow" else 0.001)

    def tell(self, release: str, now: datetime) -> None:
        self.count(now)
        self.tried, self.weight = "", 0
        if release != (self.told or self.release):
            self.told, self.told_at, self.up_at = release, now, None

    def facts(self, new: str, now: datetime) -> Facts:
        arrived = now - self.told_at >= timedelta(seconds=self.seconds)
        release = self.told if self.told and arrived else self.release
        if self.told and arrived:
            self.release = self.told
        bad = self.fault if release == new else ""
        moving = bool(self.told) and not arrived
        since = self.told_at + timedelta(seconds=self.seconds)
        sick = bad == "sick-later" and now - since >= timedelta(seconds=60)
        down = moving or bad in ("never-up", "cannot-start") or sick
        canary = self._canary(now)
        if canary is not None:
            bad, since = self.fault, self.tried_at + timedelta(seconds=self.seconds)
            moving = not now - self.tried_at >= timedelta(seconds=self.seconds)
            return Facts(
                name=self.name,
                id=self.id,
                release=release,
                tenants=self.tenants,
                up=False,
                trouble="Stuck: it ends at once" if bad == "cannot-start" else "",
                tenants_unready=((since, "tenant 'a' is not served"),) if bad == "tenant-sick" and not moving else (),
                barred=self.barred,
                canary=canary,
            )
        return Facts(
            name=self.name,
            id=self.id,
            release=release,
            tenants=self.tenants,
            up=not down,
            trouble="Stuck: it ends at once" if bad == "cannot-start" else "",
            unready_since=None if not down else (since + timedelta(seconds=60) if sick else self.told_at),
            unready="" if not down else "NotReady",
            tenants_unready=((since, "tenant 'a' is not ready: ProbeFailed"),) if bad == "tenant-sick" else (),
            restarts=3 if bad != "dies" else int((now - since).total_seconds() // 10),
            barred=self.barred,
        )

    def resident(self, new: str, now: datetime) -> dict[str, int]:
        """Bytes by release: 100 MiB, and of one that leaks one more each second."""
        since = {self.release: self.told_at, **({self.tried: self.tried_at} if self.tried else {})}
        leaks = self.fault == "leaks"
        grown = {name: int((now - at).total_seconds()) if leaks and name == new else 0 for name, at in since.items()}
        return {name: (100 + more) * 2**20 for name, more in grown.items()}

    def _canary(self, now: datetime) -> Canary | None:
        if not self.tried:
            return None
        age = (now - self.tried_at).total_seconds() - self.seconds
        ready = age >= 0 and self.fault not in ("never-up", "cannot-start")
        ready = ready and not (self.fault == "sick-later" and age >= 60)
        return Canary(self.tried, ready, int(age // 10) if self.fault == "dies" and age > 0 else 0)


@dataclass
class Fleet:
    """One rollout from its beginning to its end."""

    spec: CellReleaseSpec
    cells: list[FakeCell]
    seed: int = 0
    kills: float = 0.0
    """How often what was decided is lost before it is written (the operator was killed)."""
    change: Callable[[Fleet, float], None] = lambda fleet, seconds: None
    """What people do meanwhile, by seconds from the start."""
    now: datetime = START
    status: CellReleaseStatus = field(default_factory=CellReleaseStatus)
    steps: int = 0
    worst: int = 0
    """Cells that were failed or down by the release at once."""
    touched: set[str] = field(default_factory=set)
    served: set[str] = field(default_factory=set)
    """Cells in which the release took the place of the other."""
    broken: str = ""
    """Why nobody tells how requests end."""
    silent: bool = False
    """Whether nobody tells how much memory there is."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.generation = 1

    def seen(self) -> Observation:
        release = CellRelease(
            metadata=ObjectMeta(name="next", uid="u", generation=self.generation), spec=self.spec, status=self.status
        )
        facts = {cell.name: cell.facts(self.spec.release, self.now) for cell in self.cells}
        seen = Observation(release, facts, self.now)
        if asked := shifting.asked(seen):
            seen = replace(seen, traffic=self.traffic(asked))
        return replace(seen, memory=self.memory(memory.asked(seen)))

    def memory(self, asked: list[str]) -> dict[str, dict[str, int]]:
        known = [] if self.silent else [cell for cell in self.cells if cell.id in asked]
        return {cell.id: cell.resident(self.spec.release, self.now) for cell in known}

    def traffic(self, cells: list[str]) -> Reading:
        if self.broken:
            return Reading(problem=self.broken)
        known = {cell.id: cell for cell in self.cells if cell.id in cells}
        for cell in known.values():
            cell.count(self.now)
        return Reading(
            {name: {"router": cell.serving.counters()} for name, cell in known.items()},
            {name: {"router": cell.canary.counters()} for name, cell in known.items()},
        )

    def run(self, hours: float = 24 * 14) -> CellReleaseStatus:
        """To the end. Raises AssertionError where an invariant does not hold or it does not end in time."""
        for _ in self.each(hours):
            pass
        return self.status

    def each(self, hours: float = 24 * 14) -> Iterator[CellReleaseStatus]:
        """Step by step."""
        last = self.now + timedelta(hours=hours)
        while self.now < last:
            self.change(self, (self.now - START).total_seconds())
            seen = self.seen()
            advanced = advance(seen)
            memory.weighed(replace(seen, memory=self.memory(memory.begun(advanced.status))), advanced.status)
            self.steps += 1
            before = self.status
            if self.random.random() >= self.kills:
                self.status = advanced.status
                self.check(before, seen)
                self.effects()
                yield self.status
                if finished(self.status):
                    return
            self.now += timedelta(seconds=self._pause(advanced.after))
        raise AssertionError(f"it has not ended: {self.status.phase}, {self.status.held}")

    def _pause(self, after: float | None) -> float:
        longest = 30.0 if after is None else after
        return self.random.choice([longest, longest, self.random.uniform(0.05, max(0.05, longest))])

    def effects(self) -> None:
        by_name = {cell.name: cell for cell in self.cells}
        for _, entry in entries(self.status):
            cell = by_name.get(entry.cell)
            if cell is None or cell.id != entry.cell_id:
                continue
            if stages.beside(self.status, entry) and not finished(self.status):
                cell.try_out(self.spec.release, stages.weight(self.status, entry), self.now)
                self.touched.add(cell.name)
            elif entry.phase in ("Upgrading", "Shifting", "Updated") or (entry.phase == "Failed" and not cell.tried):
                cell.tell(self.spec.release, self.now)
                self.touched.add(cell.name)
                self.served.add(cell.name)
            elif entry.phase in ("RollingBack", "RolledBack"):
                cell.tell(entry.previous, self.now)
            else:
                cell.tried, cell.weight = "", 0

    def check(self, before: CellReleaseStatus, seen: Observation) -> None:
        """What must hold after every step."""
        status, strategy = self.status, self.status.strategy
        if strategy is None:
            return
        assert before.strategy is None or before.strategy == strategy, "the strategy that holds was changed"
        flying = [entry for _, entry in entries(status) if entry.phase in IN_FLIGHT]
        failed = [entry for _, entry in entries(status) if entry.phase in HAS_FAILED]
        policy = strategy.failure_policy
        down = len(flying) + sum(entry.phase == "Failed" for entry in failed)
        self.worst = max(self.worst, down)
        known = {(entry.cell, entry.cell_id): entry for _, entry in entries(before)}
        begun = [
            (wave, entry)
            for wave, entry in entries(status)
            if entry.phase == "Upgrading"
            and ((entry.cell, entry.cell_id) not in known or known[entry.cell, entry.cell_id].phase != "Upgrading")
        ]
        names = [(entry.cell, entry.cell_id) for _, entry in entries(status)]
        assert len(names) == len(set(names)), "a cell is in two waves"
        for wave, entry in begun:
            rules = rules_of(strategy, wave.name)
            assert wave.phase == "Running"
            assert len(flying) <= rules.max_concurrency
            assert len(flying) + len(failed) <= policy.max_failed_cells, "more may fail than are allowed to"
            assert self.spec.state == "Run" and status.ended is None
            assert entry.cell in seen.cells and not seen.cells[entry.cell].barred
            if self.spec.skip is None:
                assert windows.closed(strategy, seen.now) is None
                opened = {(approval.wave, approval.gate) for approval in self.spec.approvals}
                assert all((wave.name, gate) in opened for gate in rules.before_gates)
            if rules.max_tenants is not None and len(flying) > 1:
                assert sum(item.tenants for item in flying) <= rules.max_tenants
            earlier = status.waves[: status.waves.index(wave)]
            assert all(item.phase == "Done" for item in earlier), "a wave begins before the one before is done"
        for _, entry in entries(status):
            earlier_stage = known[key].stage if (key := (entry.cell, entry.cell_id)) in known else None
            if entry.phase == "Updated" and stages.of(status):
                assert entry.stage is not None and entry.stage.passed, "it serves and was not judged"
            if earlier_stage is not None:
                assert entry.stage is not None and entry.stage.index >= earlier_stage.index
        if finished(status):
            assert not flying
            assert not any(entry.phase == "RollingBack" for _, entry in entries(status))
            if status.phase == "Complete":
                assert all(entry.phase in ("Updated", "Skipped", "RolledBack") for _, entry in entries(status))


def fleet_of(count: int, *, seed: int = 0, tenants: int = 10) -> list[FakeCell]:
    """Cells that all run ``r1``."""
    chance = random.Random(seed)
    return [
        FakeCell(f"cell-{number}", f"c{number:011d}", "r1", chance.randint(0, tenants), chance.uniform(2, 20))
        for number in range(count)
    ]
