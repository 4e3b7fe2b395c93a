"""A world in memory: reconcilers over the ports that they know, with faults at every effect."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urlsplit

from voicehelper_core import cell_bundle, errors

from voicehelper_operator.cells.apply import CellApplier
from voicehelper_operator.cells.reconciler import CellReconciler
from voicehelper_operator.moves.reconciler import MoveReconciler
from voicehelper_operator.releases.reconciler import ReleaseReconciler
from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.credentials import CellCredentials
from voicehelper_operator.tenants.apply import TenantApplier
from voicehelper_operator.tenants.reconciler import TenantReconciler
from voicehelper_operator.tests.memory_copier import MemoryCopier
from voicehelper_operator.tests.memory_identity import MemoryIdentity
from voicehelper_operator.tests.memory_keeper import MemoryKeeper
from voicehelper_operator.tests.memory_runtime import MemoryActivity, MemoryRuntime
from voicehelper_operator.tests.memory_slices import MemorySlice
from voicehelper_operator.tests.memory_store import MemoryEvents, MemorySecrets, MemoryStore
from voicehelper_operator.tests.memory_traffic import MemoryTraffic


class Crash(BaseException):
    """The operator died here."""


class World:
    """Reconcilers over memory. ``step`` is called at every effect and may raise Crash."""

    def __init__(self) -> None:
        self.hook: Callable[[str], None] = lambda _: None

        def step(name: str) -> None:
            self.hook(name)

        self.store, self.secrets, self.events = MemoryStore(step), MemorySecrets(step), MemoryEvents()

        stores = (
            ("postgres", True, cell_bundle.POSTGRES),
            ("kafka", True, cell_bundle.KAFKA),
            ("milvus", False, ""),
            ("objects", True, cell_bundle.OBJECTS),
        )
        self.slices = [MemorySlice(name, isolated, step, secret, self._bundle) for name, isolated, secret in stores]
        self.runtime, self.identity = MemoryRuntime(step), MemoryIdentity(self.store, step)
        self.canary_trouble = ""
        self.keeper, self.activity = MemoryKeeper(self), MemoryActivity()
        self.copier = MemoryCopier(self.slices[0], step)
        self.traffic = MemoryTraffic()
        self.now = datetime.now(UTC)
        self.follow: Literal["platform", "rollouts"] = "platform"
        self.history = 10
        self.restart()

    async def _bundle(self, cell_id: str) -> dict[str, str]:
        return await self.credentials.of(cell_id)

    def restart(self) -> None:
        """A new operator: nothing is remembered but what is in the stores."""
        self.keeper.making.clear()
        settings = OperatorSettings(
            release="r00000000001",
            cells_follow=self.follow,
            release_history=self.history,
            router_url="http://router",
            objects_endpoint="http://s3",
            objects_admin_access_key="admin",
            objects_admin_secret_key="secret",
        )
        self.credentials = CellCredentials(self.secrets, lambda: self.now)
        applier = CellApplier(settings, self.store, self.slices, self.credentials, self.runtime, self.activity)
        self.cells = CellReconciler(applier, self.events)
        tenants = TenantApplier(self.store, self.secrets, self.slices, self.identity, self.keeper, 0)
        self.tenants = TenantReconciler(tenants, self.events, self, "http://router")
        self.copier.restart()
        self.moves = MoveReconciler(
            self.store, self.events, self.slices, self.copier, self.activity, clock=lambda: self.now
        )
        self.releases = ReleaseReconciler(
            settings, self.store, self.events, self.traffic, self.runtime, clock=lambda: self.now
        )

    def refused(self) -> list[str]:
        """Stores that let a workload not in by what it was told."""
        found = []
        for spec in (*self.runtime.running.values(), *self.runtime.leaving):
            login = urlsplit(spec.config["postgres_dsn"])
            told = {
                "postgres": (login.username, login.password),
                "kafka": (spec.config["kafka_user"], spec.config["kafka_password"]),
                "objects": (spec.config["objects_access_key"], spec.config["objects_secret_key"]),
            }
            known = {item.store: item.accounts for item in self.slices}
            found += [store for store, (user, password) in told.items() if known[store].get(user or "") != password]
        return found

    async def probe(
        self, name: str, tenant_id: str, cell_id: str, *, patience: float = 0, canary: str = ""
    ) -> str | None:
        """The routed probe: the cell runs and knows the tenant."""
        if canary:
            tried = self.runtime.beside.get(cell_id)
            return self.canary_trouble or (None if tried is not None and tried.release == canary else "nobody tries it")
        known = (cell_id, tenant_id) in self.slices[0].tenants
        return None if cell_id in self.runtime.running and self.runtime.ready and known else "nobody answered"

    async def pass_once(self, *, but: str = "") -> None:
        """Every object once, in the order of the queue after a resync; those of a kind may be left out."""
        for kind, name in sorted(self.store.objects):
            reconciler = {
                "Cell": self.cells, "CellRelease": self.releases, "Tenant": self.tenants, "TenantMove": self.moves,
            }.get(kind)  # fmt: skip
            if reconciler is not None and kind != but:
                try:
                    await reconciler.reconcile(name)
                except errors.NotFound:
                    continue

    async def settle(self, passes: int = 12) -> int:
        """Passes until nothing is written any more; how many it took."""
        for count in range(passes):
            before = self.store.writes
            await self.pass_once()
            if self.store.writes == before:
                return count
        raise AssertionError("the world does not come to rest")
