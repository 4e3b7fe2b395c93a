"""Assembles the operator: watches, queues, reconcilers, lease."""

from __future__ import annotations

import asyncio
import contextlib

from voicehelper_core.log import get_logger
from voicehelper_core.ports import Change, EventRecorder, Lease, ResourceStore, SecretStore
from voicehelper_crds import Cell, CellClass, Tenant, TenantPlan

from voicehelper_operator.cells.apply import CellApplier
from voicehelper_operator.cells.reconciler import CellReconciler
from voicehelper_operator.engine.loop import Worker
from voicehelper_operator.engine.queue import WorkQueue
from voicehelper_operator.identity import GrpcIdentity
from voicehelper_operator.leadership import lead
from voicehelper_operator.probe import RoutedProber
from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.credentials import CellCredentials
from voicehelper_operator.slices.interface import Slice
from voicehelper_operator.slices.kafka import KafkaSlice
from voicehelper_operator.slices.milvus import MilvusSlice
from voicehelper_operator.slices.objects import ObjectsSlice
from voicehelper_operator.slices.postgres import PostgresSlice
from voicehelper_operator.tenants.apply import TenantApplier
from voicehelper_operator.tenants.reconciler import TenantReconciler
from voicehelper_operator.workloads.processes import ProcessRuntime

log = get_logger(__name__)


class Router:
    """Which keys a change concerns: the object itself, and those whose plan depends on it."""

    def __init__(self, cells: WorkQueue, tenants: WorkQueue) -> None:
        self._cells, self._tenants = cells, tenants
        self._homes: dict[str, str | None] = {}
        self._known_cells: set[str] = set()

    def route(self, change: Change) -> None:
        """Queue what has to be looked at."""
        match change.kind:
            case "Tenant":
                self._tenant(change)
            case "Cell":
                self._cell(change)
            case "TenantPlan":
                self.all_tenants()
            case "CellClass":
                self.all_cells()

    def _tenant(self, change: Change) -> None:
        tenant = change.resource if isinstance(change.resource, Tenant) else None
        home = tenant.status.cell if tenant and change.type == "applied" else None
        before = self._homes.get(change.name)
        if change.type == "deleted":
            self._homes.pop(change.name, None)
        else:
            self._homes[change.name] = home
            self._tenants.add(change.name)
        for cell in {before, home} - {None} if before != home else ():
            self._cells.add(str(cell))

    def _cell(self, change: Change) -> None:
        if change.type == "deleted":
            self._known_cells.discard(change.name)
        else:
            self._known_cells.add(change.name)
            self._cells.add(change.name)
        for name, home in self._homes.items():
            if home in (None, change.name):
                self._tenants.add(name)

    def all_tenants(self) -> None:
        """Look at every tenant."""
        for name in self._homes:
            self._tenants.add(name)

    def all_cells(self) -> None:
        """Look at every cell."""
        for name in self._known_cells:
            self._cells.add(name)


async def _watch(store: ResourceStore, router: Router) -> None:
    async for change in store.watch(Tenant, TenantPlan, Cell, CellClass):
        if change.type != "synced":
            router.route(change)


async def _resync(router: Router, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        router.all_cells()
        router.all_tenants()


async def run(
    settings: OperatorSettings,
    store: ResourceStore,
    *,
    secrets: SecretStore,
    events: EventRecorder,
    lease: Lease,
    stop: asyncio.Event,
) -> None:
    """Reconcile until ``stop`` is set; a step that runs then ends within seconds or is cut off, which is safe."""
    credentials = CellCredentials(secrets)
    postgres = PostgresSlice(settings, credentials)
    slices: list[Slice] = [
        postgres,
        KafkaSlice(settings, credentials),
        MilvusSlice(settings),
        ObjectsSlice(settings),
    ]
    runtime = ProcessRuntime(settings.supervisor_socket)
    identity = GrpcIdentity(settings.identity_address, settings.provisioning_key)
    prober = RoutedProber(settings.router_url, identity)
    cells = CellReconciler(CellApplier(settings, store, slices, credentials, runtime), events)
    tenants = TenantReconciler(TenantApplier(store, secrets, slices, identity), events, prober, settings.router_url)
    leading = asyncio.Event()
    workers = [
        Worker(cells, WorkQueue(), settings.workers, leading),
        Worker(tenants, WorkQueue(), settings.workers, leading),
    ]
    router = Router(workers[0].queue, workers[1].queue)
    jobs = [
        lead(lease, settings.holder, settings.lease_seconds, leading),
        _watch(store, router),
        _resync(router, settings.resync_seconds),
        *(worker.run() for worker in workers),
    ]
    tasks = [asyncio.create_task(job) for job in jobs]
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait({*tasks, waiting}, return_when=asyncio.FIRST_COMPLETED)
    for task in (*tasks, waiting):
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for closing in (prober.close(), identity.close(), runtime.close(), postgres.close()):
        with contextlib.suppress(Exception):
            await closing
    failed = [result for result in results if isinstance(result, Exception)]
    if failed and not stop.is_set():
        raise failed[0]
