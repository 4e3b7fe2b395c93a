"""One variant with so many tenants: create them all, some one by one, look again, restart, delete them all."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path

from voicehelper_core.kubernetes_api import Api, connect
from voicehelper_e2e.cluster.alone import ApiServer, api_server

from voicehelper_bench.operator.process import RESYNC_SECONDS, Operator, Variant, servers_cpu
from voicehelper_bench.operator.requests import Asked, asked
from voicehelper_bench.operator.tenants import CAPACITY, Tenants

_ROUNDS = 2


@dataclass(slots=True)
class Found:
    """Seconds, MiB and requests of one leg."""

    routable: list[float]
    one_by_one: list[float]
    gone: list[float]
    creating: float
    deleting: float
    cpu: float
    """Of the operator while all were created and deleted."""
    servers_cpu: float
    """Of the API server and etcd meanwhile, the load's own requests included."""
    asked: Asked
    """Meanwhile, without the load's own requests."""
    peak: float
    settled: float
    resync: Asked
    """In so many resyncs, or in the same time where the variant has none."""
    resync_cpu: float
    """Of one."""
    synced: float | None
    """From the start of a new process; None where the variant does not say so."""
    restarted: float
    """Until it had nothing more to do."""
    restart: Asked
    restart_cpu: float
    restart_peak: float


@dataclass(frozen=True, slots=True)
class _Phase:
    each: list[float]
    seconds: float
    cpu: float
    servers_cpu: float
    asked: Asked


async def measure(variant: Variant, count: int, singles: int, folder: Path) -> Found:
    """On an API server of its own."""
    with api_server() as server:
        api = await connect(server.kubeconfig)
        running = [Operator(variant, server.kubeconfig, folder / f"{variant.name}.log")]
        try:
            return await _measure(variant, server, api, running, (count, singles))
        finally:
            for operator in running:
                operator.stop()
            await api.close()


async def _measure(
    variant: Variant, server: ApiServer, api: Api, running: list[Operator], sizes: tuple[int, int]
) -> Found:
    count, singles = sizes
    operator, names = running[0], [f"t-{number:05d}" for number in range(count)]
    if variant.resyncs:
        await operator.synced()
    async with Tenants(api) as tenants:
        await tenants.prepare(-(-(count + singles) // CAPACITY))
        await operator.quiet()
        creating = await _phase(server, api, operator, tenants.create_all(names))
        one_by_one = []
        for number in range(singles):
            one_by_one.append(await tenants.create(f"s-{number:05d}"))
        await operator.quiet()
        peak, settled = operator.peak(), operator.rss()
        before, used = await asked(api), operator.cpu()
        await asyncio.sleep(RESYNC_SECONDS * _ROUNDS)
        resync, resync_cpu = (await asked(api)).since(before), (operator.cpu() - used) / _ROUNDS
        operator.stop()
        before = await asked(api)
        operator = Operator(variant, server.kubeconfig, operator.log)
        running.append(operator)
        synced = await operator.synced() if variant.resyncs else None
        restarted = await operator.quiet()
        restart, restart_cpu = (await asked(api)).since(before), operator.cpu()
        restart_peak = operator.peak()
        deleting = await _phase(server, api, operator, tenants.delete_all(names))
        peak = max(peak, operator.peak())
    return Found(
        creating.each, one_by_one, deleting.each, creating.seconds, deleting.seconds, creating.cpu + deleting.cpu,
        creating.servers_cpu + deleting.servers_cpu,
        Asked(creating.asked.by_kind + deleting.asked.by_kind).since(Asked(_own(count))),
        peak, settled, resync, resync_cpu, synced, restarted, restart, restart_cpu, restart_peak,
    )  # fmt: skip


async def _phase(server: ApiServer, api: Api, operator: Operator, work: Awaitable[list[float]]) -> _Phase:
    """Until the work is done and the operator rests; that rest is not counted as time."""
    before, used, servers, began = await asked(api), operator.cpu(), servers_cpu(server.pids), time.perf_counter()
    each = await work
    seconds, servers = time.perf_counter() - began, servers_cpu(server.pids) - servers
    await operator.quiet()
    return _Phase(each, seconds, operator.cpu() - used, servers, (await asked(api)).since(before))


def _own(count: int) -> Counter[str]:
    """Requests of the load."""
    return Counter({"POST tenants": count, "DELETE tenants": count})
