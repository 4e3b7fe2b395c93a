"""Assembles the operator: watches, queues, reconcilers, lease."""

from __future__ import annotations

import asyncio
import contextlib

from fastapi import FastAPI
from voicehelper_core.errors import Unavailable
from voicehelper_core.log import get_logger
from voicehelper_core.ports import EventRecorder, Lease, ResourceStore, SecretStore
from voicehelper_crds import Cell, CellClass, Tenant, TenantPlan

from voicehelper_operator.archives.assembly import Archives
from voicehelper_operator.cells.apply import CellApplier
from voicehelper_operator.cells.reconciler import CellReconciler
from voicehelper_operator.engine.loop import Worker
from voicehelper_operator.engine.queue import WorkQueue
from voicehelper_operator.identity import GrpcIdentity
from voicehelper_operator.leadership import lead
from voicehelper_operator.probe import RoutedProber
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


async def _watch(store: ResourceStore, router: Router) -> None:
    async for change in store.watch(Tenant, TenantPlan, Cell, CellClass):
        if change.type != "synced":
            router.route(change)


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
) -> None:
    """Reconcile until ``stop`` is set; a step that runs then ends within seconds or is cut off, which is safe.

    ``web`` gets the routes of archives; who assembles the process serves it.
    """
    credentials = CellCredentials(secrets)
    postgres, milvus = PostgresSlice(settings, credentials), MilvusSlice(settings)
    objects = S3ObjectsSlice(settings, credentials) if settings.objects_endpoint else ObjectsSlice(settings)
    archives = Archives(settings, store, secrets)
    archives.serve(web)
    slices: list[Slice] = [
        postgres,
        KafkaSlice(settings, credentials),
        milvus,
        objects,
    ]
    identity = GrpcIdentity(settings.identity_address, settings.provisioning_key)
    prober = RoutedProber(settings.router_url, identity)
    queues = WorkQueue(), WorkQueue()
    router = Router(*queues)
    cells = CellReconciler(CellApplier(settings, store, slices, credentials, runtime), events, router.repaired)
    endpoint = settings.public_url or settings.router_url
    tenants = TenantReconciler(
        TenantApplier(store, secrets, slices, identity, archives.keeper), events, prober, endpoint
    )
    leading = asyncio.Event()
    workers = [
        Worker(cells, queues[0], settings.workers, leading),
        Worker(tenants, queues[1], settings.workers, leading),
    ]
    jobs = [
        lead(lease, settings.holder, settings.lease_seconds, leading),
        _watch(store, router),
        _resync(router, Sweep(store, slices), settings.resync_seconds),
        _workloads(runtime, router),
        *(worker.run() for worker in workers),
    ]
    tasks = [asyncio.create_task(job) for job in jobs]
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait({*tasks, waiting}, return_when=asyncio.FIRST_COMPLETED)
    for task in (*tasks, waiting):
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for closing in (item.close() for item in (archives, prober, identity, runtime, postgres, milvus, objects)):
        with contextlib.suppress(Exception):
            await closing
    failed = [result for result in results if isinstance(result, Exception)]
    if failed and not stop.is_set():
        raise failed[0]
