"""Assembles the operator: watches, queues, reconcilers, lease."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fastapi import FastAPI
from voicehelper_core.errors import Unavailable
from voicehelper_core.log import get_logger
from voicehelper_core.ports import EventRecorder, Lease, ResourceStore, SecretStore
from voicehelper_crds import Cell, CellClass, CellRelease, CellReleaseStrategy, Tenant, TenantMove, TenantPlan

from voicehelper_operator.activity import NoActivity, RoutersActivity
from voicehelper_operator.archives.assembly import Archives, objects_client, tenant_objects
from voicehelper_operator.cells.apply import CellApplier
from voicehelper_operator.cells.reconciler import CellReconciler
from voicehelper_operator.engine.loop import Worker
from voicehelper_operator.engine.queue import WorkQueue
from voicehelper_operator.identity import GrpcIdentity, Identity
from voicehelper_operator.leadership import LeadersSecrets, Leading, lead
from voicehelper_operator.moves.copying import StoreCopier
from voicehelper_operator.moves.reconciler import MoveReconciler
from voicehelper_operator.probe import Prober, RoutedProber
from voicehelper_operator.releases.reconciler import ReleaseReconciler
from voicehelper_operator.releases.traffic import NoTraffic, RoutersTraffic
from voicehelper_operator.routing import Router
from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.credentials import CellCredentials
from voicehelper_operator.slices.interface import Slice
from voicehelper_operator.slices.kafka import KafkaSlice
from voicehelper_operator.slices.milvus import MilvusSlice
from voicehelper_operator.slices.objects import ObjectsSlice
from voicehelper_operator.slices.postgres import PostgresSlice
from voicehelper_operator.slices.s3 import S3ObjectsSlice
from voicehelper_operator.tenants.apply import TenantApplier
from voicehelper_operator.tenants.reconciler import TenantReconciler
from voicehelper_operator.tenants.sweep import Sweep
from voicehelper_operator.workloads.interface import WorkloadRuntime

log = get_logger(__name__)
MOVES_AT_ONCE = 2
"""Tenants that are copied or switched at the same time; others wait."""


async def _watch(store: ResourceStore, router: Router, synced: asyncio.Event) -> None:
    async for change in store.watch(Tenant, TenantPlan, Cell, CellClass, CellRelease, CellReleaseStrategy, TenantMove):
        if change.type == "synced":
            synced.set()
        else:
            router.route(change)


async def _work(worker: Worker, synced: asyncio.Event) -> None:
    """Only once all is known: what is looked at before is asked of the API server, and all of a kind each time."""
    await synced.wait()
    await worker.run()


async def _resync(router: Router, sweep: Sweep, seconds: float) -> None:
    """Every cell, and the tenants that are due."""
    while True:
        await asyncio.sleep(seconds)
        router.all_cells()
        with contextlib.suppress(Unavailable):
            router.some_tenants(await sweep.due())


async def _workloads(runtime: WorkloadRuntime, router: Router) -> None:
    """What happens to a cell's workload wakes that cell."""
    async for name in runtime.changes():
        router.workload_changed(name)


async def _requests(activity: RoutersActivity | NoActivity, router: Router) -> None:
    """Requests that wait wake their cell."""
    async for cell_id in activity.run():
        router.cell_awaited(cell_id)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What the reconcilers reach besides resources and workloads: stores, identity, the router."""

    slices: Sequence[Slice]
    identity: Identity
    prober: Prober
    closing: Sequence[Callable[[], Awaitable[object]]] = ()
    """Close their connections."""


def neighbours(settings: OperatorSettings, credentials: CellCredentials) -> Neighbours:
    """Those of the settings."""
    postgres, milvus = PostgresSlice(settings, credentials), MilvusSlice(settings)
    objects = S3ObjectsSlice(settings, credentials) if settings.objects_endpoint else ObjectsSlice(settings)
    identity = GrpcIdentity(settings.identity_address, settings.provisioning_key)
    prober = RoutedProber(settings.router_url, identity)
    return Neighbours(
        (postgres, KafkaSlice(settings, credentials), milvus, objects),
        identity,
        prober,
        tuple(item.close for item in (prober, identity, postgres, milvus, objects)),
    )


async def run(
    settings: OperatorSettings,
    store: ResourceStore,
    *,
    secrets: SecretStore,
    events: EventRecorder,
    lease: Lease,
    runtime: WorkloadRuntime,
    stop: asyncio.Event,
    web: FastAPI,
    more: Callable[[CellCredentials], Sequence[Slice]] = lambda _: (),
    around: Neighbours | None = None,
    leading: Leading | None = None,
) -> None:
    """Reconcile until ``stop`` is set; a step that runs then ends within seconds or is cut off, which is safe.

    ``web`` gets the routes of archives; who assembles the process serves it. ``more`` makes slices that a substrate
    has besides those of the stores; ``around`` is what the settings say unless given. ``leading`` is told of the lease.
    """
    leading, synced = leading or Leading(), asyncio.Event()
    ours = LeadersSecrets(secrets, leading)
    credentials = CellCredentials(ours)
    around = around or neighbours(settings, credentials)
    slices, identity, prober = [*around.slices, *more(credentials)], around.identity, around.prober
    archives = Archives(settings, store, secrets)
    archives.serve(web)
    queues = WorkQueue(), WorkQueue(), WorkQueue(), WorkQueue()
    router = Router(*queues)
    activity = RoutersActivity(settings.routers_url) if settings.routers_url else NoActivity()

    def wake(cell_id: str) -> None:
        activity.want(cell_id)
        router.cell_awaited(cell_id)

    applier = CellApplier(settings, store, slices, credentials, runtime, activity)
    cells = CellReconciler(applier, events, router.repaired)
    endpoint = settings.public_url or settings.router_url
    tenant_applier = TenantApplier(store, ours, slices, identity, archives.keeper)
    tenants = TenantReconciler(tenant_applier, events, prober, endpoint, wake)
    traffic = RoutersTraffic(settings.routers_url) if settings.routers_url else NoTraffic()
    releases = ReleaseReconciler(settings, store, events, traffic, runtime)
    objects = tenant_objects(settings, objects_client(settings))
    copier = StoreCopier(settings.postgres_admin_dsn, settings.milvus_uri, objects)
    moves = MoveReconciler(store, events, slices, copier, activity)
    workers = [
        Worker(cells, queues[0], settings.workers, leading),
        Worker(tenants, queues[1], settings.workers, leading),
        Worker(releases, queues[2], 1, leading),
        Worker(moves, queues[3], MOVES_AT_ONCE, leading),
    ]
    jobs = [
        lead(lease, settings.holder, settings.lease_seconds, leading),
        _watch(store, router, synced),
        _resync(router, Sweep(store, slices), settings.resync_seconds),
        _workloads(runtime, router),
        _requests(activity, router),
        *(_work(worker, synced) for worker in workers),
    ]
    tasks = [asyncio.create_task(job) for job in jobs]
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait({*tasks, waiting}, return_when=asyncio.FIRST_COMPLETED)
    for task in (*tasks, waiting):
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for close in (archives.close, releases.close, moves.close, *around.closing, runtime.close):
        with contextlib.suppress(Exception):
            await close()
    failed = [result for result in results if isinstance(result, Exception)]
    if failed and not stop.is_set():
        raise failed[0]
