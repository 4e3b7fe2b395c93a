"""What runs cells, and whether their requests come to an end, in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from voicehelper_operator.activity import NoActivity
from voicehelper_operator.workloads.interface import CanaryState, StepFailed, WorkloadSpec, WorkloadState


@dataclass
class MemoryRuntime:
    """``leaving`` is what runs until ``ready`` lets what takes its place answer; a runtime that is not ``seamless`` has
    a gap instead, which is counted unless nobody was in the cell. With ``trouble`` what was there answers on. Where it
    has ``pods``, the release of what runs is replaced in two steps, and what was tried stays as long as it is told so.
    """

    topologies: ClassVar = frozenset({"compact"})
    seamless: bool = True
    pods: bool = False
    rolling: set[str] = field(default_factory=set)
    """Cells in which some of what serves has the release of before."""
    canaries: ClassVar = topologies
    step: Callable[[str], None] = lambda _: None
    running: dict[str, WorkloadSpec] = field(default_factory=dict)
    leaving: list[WorkloadSpec] = field(default_factory=list)
    migrated: set[str] = field(default_factory=set)
    restarts: dict[str, int] = field(default_factory=dict)
    broken_migration: str = ""
    ahead: list[str] = field(default_factory=list)
    ready: bool = True
    trouble: str = ""
    bad: set[str] = field(default_factory=set)
    """Releases that cannot start: what ran before goes on beside them."""
    beside: dict[str, WorkloadSpec] = field(default_factory=dict)
    """What stays beside what serves."""
    coming: dict[str, WorkloadSpec] = field(default_factory=dict)
    gaps: int = 0
    resident: dict[str, int] = field(default_factory=dict)
    """Bytes by release, where they are told."""

    def _state(self, cell_id: str) -> WorkloadState:
        spec = self.running[cell_id]
        state = "ready" if self.ready else "starting"
        restarts = self.restarts.get(cell_id, 0)
        trouble = self.trouble or ("it ended with status 1" if cell_id in self.coming else "")
        settled = self.ready and not trouble and cell_id not in {item.cell_id for item in self.leaving}
        addresses = ("127.0.0.1:1", "127.0.0.1:2")
        canary = None
        if (tried := self.beside.get(cell_id)) is not None:
            ready, memory = tried.release not in self.bad, self.resident.get(tried.release)
            canary = CanaryState(tried.release, ready, 0, "", "127.0.0.1:3", "127.0.0.1:4", memory)
        rolled = settled and cell_id not in self.rolling
        settled, memory = rolled and canary is None, self.resident.get(spec.release)
        return WorkloadState(
            self.ready, state, restarts, trouble, spec.release, *addresses, settled, canary, memory, rolled
        )

    async def ensure(self, spec: WorkloadSpec) -> WorkloadState:
        self.step("workload.before")
        assert spec.cell_id in self.migrated, "code must not run before its migration"
        before = self.running.get(spec.cell_id)
        self.coming.pop(spec.cell_id, None)
        beside = spec.tried or (spec.leaving if self.pods else None)
        if beside is not None and before is not None:
            self.beside[spec.cell_id] = beside
        else:
            self.beside.pop(spec.cell_id, None)
        self.rolling.discard(spec.cell_id)
        if self.pods and before is not None and before.release != spec.release:
            self.rolling.add(spec.cell_id)
        if spec.release in self.bad and before is not None:
            self.coming[spec.cell_id] = spec
            return self._state(spec.cell_id)
        if self.ready:
            self.leaving = [item for item in self.leaving if item.cell_id != spec.cell_id]
        if before is not None and before.config != spec.config:
            if self.seamless:
                self.leaving.append(before)
            else:
                self.gaps += 1
        self.running[spec.cell_id] = spec
        self.step("workload.after")
        return self._state(spec.cell_id)

    async def observe(self, cell_id: str) -> WorkloadState | None:
        return self._state(cell_id) if cell_id in self.running else None

    async def sleep(self, spec: WorkloadSpec) -> bool:
        await self.remove(spec.cell_id)
        return True

    async def remove(self, cell_id: str) -> None:
        self.step("workload.remove.before")
        self.running.pop(cell_id, None)
        self.beside.pop(cell_id, None)
        self.leaving = [item for item in self.leaving if item.cell_id != cell_id]
        self.step("workload.remove.after")

    async def run_once(self, spec: WorkloadSpec, command: str) -> str:
        self.step("migrate.before")
        if self.broken_migration:
            raise StepFailed(self.broken_migration)
        self.migrated.add(spec.cell_id)
        self.step("migrate.after")
        return f"starting\n{json.dumps({'schema_revision': 'conversation=1', 'ahead': self.ahead})}\n"


class MemoryActivity(NoActivity):
    """``busy``: requests do not come to their end."""

    busy = False
    routers_away = False

    async def held(self, tenant: str) -> bool:
        return not self.routers_away

    async def parked(self, cell_id: str) -> bool:
        return not self.busy
