"""The keeper of archives in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from voicehelper_operator.archives.keeper import Archived
from voicehelper_operator.archives.problems import StoreProblem

if TYPE_CHECKING:
    from voicehelper_operator.tests.world import World


@dataclass
class MemoryKeeper:
    """``kept`` is what each archive holds: the stores and identity then. The first look finds it unfinished."""

    world: World
    kept: dict[str, set[str]] = field(default_factory=dict)
    making: set[str] = field(default_factory=set)
    broken: str = ""

    async def archived(self, tenant: Any) -> Archived | None:
        tenant_id = tenant.status.tenant_id
        if tenant_id not in self.making:
            self.making.add(tenant_id)
            self.world.store.writes += not self.broken  # it is not at rest
            return None
        self.world.hook("archive.before")
        if self.broken:
            raise StoreProblem("archives", self.broken)
        for item in self.world.slices:
            if item.broken:
                raise StoreProblem(item.store, item.broken)
        held = {s.store for s in self.world.slices if any(key[1] == tenant_id for key in s.data)}
        known = tenant_id in self.world.identity.tenants or tenant_id in self.world.identity.retired
        self.kept[tenant_id] = held | ({"identity"} if known else set())
        self.world.hook("archive.after")
        return Archived(f"/archives/{tenant.metadata.name}.tar.gz", 1, "0" * 64)
