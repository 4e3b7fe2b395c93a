"""The benchmark: a tenant is filled, and moves there and back again and again under load."""

from __future__ import annotations

import asyncio

from voicehelper_core.context import TenantContext
from voicehelper_core.ports import ResourceStore
from voicehelper_crds import API_VERSION, TenantMove
from voicehelper_crds.moves import TenantMoveStatus
from voicehelper_embedded.throwaway import Platform, throwaway

from voicehelper_bench.cells import make, until_ready
from voicehelper_bench.figures import Report, median, quantile, seconds
from voicehelper_bench.move.inhabited import copied, digest, fill, vectors
from voicehelper_bench.retrieval.world import CELL, place
from voicehelper_bench.site import Place, resources
from voicehelper_bench.upgrade.load import asking

_TENANT, _OTHER = "mover", "bench-other"
_CLIENTS = 4
_LOOK_SECONDS, _END_SECONDS = 0.2, 600.0


def run(report: Report, *, quick: bool) -> None:
    """Half of the moves go there, half back."""
    messages, passages, moves = (2_000, 500, 2) if quick else (100_000, 10_000, 20)
    with throwaway("vh-bench-move", examples=False) as platform:
        make(platform, [_OTHER])
        until_ready(platform, [_OTHER])
        place(platform, [_TENANT])
        asyncio.run(_measured(report, platform, messages, passages, moves))


async def _measured(report: Report, platform: Platform, messages: int, passages: int, moves: int) -> None:
    await fill(report, platform, _TENANT, messages=messages, passages=passages)
    report.add("messages", messages, "messages")
    report.add("passages", passages, "passages")
    before = await digest(platform, _who(platform))
    report.add("copy", await copied(platform, _who(platform)) / 1000, "s")
    headers = {f"client-{number}": platform.headers(_TENANT) for number in range(_CLIENTS)}
    async with resources(platform) as store, asking(platform.router, headers) as load:
        await asyncio.sleep(3)
        ended = [await _moved(report, store, number) for number in range(moves)]
        await asyncio.sleep(3)
    _figures(report, ended)
    report.add("requests", load.asked.total(), "requests")
    report.add("failed", load.failed.total(), "requests")
    after = await digest(platform, _who(platform))
    report.add("changed", int(before != after), "differences")
    report.add("vectors.missing", passages - await vectors(platform, _who(platform)), "vectors")


def _who(platform: Platform) -> TenantContext:
    return Place.of(platform, _TENANT).who("bench")


async def _moved(report: Report, store: ResourceStore, number: int) -> TenantMoveStatus:
    """One move to its end. Raises AssertionError where it is not complete, and TimeoutError."""
    name, target = f"move-{number}", CELL if number % 2 else _OTHER
    spec = {"tenant": _TENANT, "target": {"cell": target}, "graceSeconds": 0}
    await store.apply({"apiVersion": API_VERSION, "kind": "TenantMove", "metadata": {"name": name}, "spec": spec})
    async with asyncio.timeout(_END_SECONDS):
        while (status := (await store.get(TenantMove, name)).status).finished_at is None:
            await asyncio.sleep(_LOOK_SECONDS)
    assert status.phase == "Complete", status
    report.note(f"{name}: requests waited {status.pause_seconds} s, {status.attempts} attempts")
    return status


def _figures(report: Report, ended: list[TenantMoveStatus]) -> None:
    pauses = [status.pause_seconds for status in ended if status.pause_seconds is not None]
    until_switch = [seconds(status.started_at, status.switched_at) for status in ended]
    whole = median(until_switch)
    peer = f"requests wait while all is copied: {whole:.1f} s"
    report.add("pause.p50", median(pauses), "s", peer=peer, ratio=median(pauses) / whole, runs=len(pauses))
    report.add("pause.p95", quantile(pauses, 0.95), "s", runs=len(pauses))
    report.add("pause.max", max(pauses), "s", runs=len(pauses))
    report.add("attempts", sum(status.attempts for status in ended), "attempts", runs=len(ended))
    report.spread("until-switch", until_switch, "s")
    report.spread("whole", [seconds(status.started_at, status.finished_at) for status in ended], "s")
