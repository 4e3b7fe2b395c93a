"""Moves of single tenants, measured: near the control plane with and without load, and far from it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from voicehelper_core import embedded_store

from voicehelper_bench.figures import Report, median, quantile
from voicehelper_bench.router import changes, database, load
from voicehelper_bench.router.changes import Changed, Probe
from voicehelper_bench.router.delay import delayed
from voicehelper_bench.router.processes import cores
from voicehelper_bench.router.site import Front, Site

DELAY_SECONDS = 0.3
"""On each way between Envoy and the control plane."""
_PAUSE_MS = 20
_DRAWN = 5_000
_LOAD_SECONDS = 600
_CELLS = {database.cell_id(0): "a", database.cell_id(1): "b"}


def _say(report: Report, name: str, done: list[Changed], probe: Probe) -> None:
    effective = [1e3 * change.from_write for change in done]
    report.add(f"{name}.p50", median(effective), "ms", runs=len(done))
    report.add(f"{name}.p95", quantile(effective, 0.95), "ms", runs=len(done))
    committed = [1e3 * change.from_commit for change in done]
    report.add(f"{name}.from_commit.p50", median(committed), "ms", runs=len(done))
    report.add(f"{name}.from_commit.p95", quantile(committed, 0.95), "ms", runs=len(done))
    report.add(f"{name}.wrong", len(probe.wrong), "wrong answers", runs=probe.asked)
    if probe.wrong:
        report.note(f"wrong answers: {sorted(set(probe.wrong))}")


@contextlib.asynccontextmanager
async def _loaded(site: Site, front: Front, report: Report) -> AsyncIterator[None]:
    """Requests of all tenants at about half of what the router can do; its refusals are told at the end."""
    url = f"http://127.0.0.1:{front.port}"
    command = load.command(url, site.tokens, min(site.most, _DRAWN), _LOAD_SECONDS, connections=64, pause=_PAUSE_MS)
    process = await asyncio.create_subprocess_exec(
        "taskset", "-c", ",".join(map(str, cores()[1])), *command,
        env=load.environment(_PAUSE_MS), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        await asyncio.sleep(3)
        yield
        process.send_signal(2)  # wrk sums up and ends
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        said = load.parse(out.decode())
        report.add("change.load.rps", said["requests"] / (said["microseconds"] / 1e6), "req/s")
        report.add("change.load.p99", said["p99"] / 1e3, "ms")
        report.add("change.load.wrong", said["refused"] + said["broken"], "wrong answers", runs=said["requests"])
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def measure(report: Report, site: Site, dsn: str, near: Front, *, times: int) -> None:
    """``times`` changes each, of one tenant among all."""
    pool, plane = await embedded_store.connect(dsn), near.plane
    store = embedded_store.PostgresResourceStore(pool)
    try:
        report.note(f"changes one tenant {times} times, without load")
        before = plane.process.cpu()
        done, probe = await changes.to_and_fro(store, near.port, 0, site.token(0), cells=_CELLS, times=times)
        report.add("change.xds_cpu", 1e3 * (plane.process.cpu() - before) / times, "ms of CPU/change", runs=times)
        _say(report, "change.quiet", done, probe)
        report.note(f"changes one tenant {times} times, under load")
        async with _loaded(site, near, report):
            done, probe = await changes.to_and_fro(store, near.port, 1, site.token(1), cells=_CELLS, times=times)
        _say(report, "change", done, probe)
        report.note("moves one tenant to new cells, with a slow network to the control plane")
        async with delayed(plane.xds_port, DELAY_SECONDS) as port:
            far = await asyncio.to_thread(site.front, "far", plane, xds_port=port)
            done, probe = await changes.to_new_cells(
                store, far.port, 2, site.token(2), servers=site.servers, times=max(times // 10, 5)
            )
            await asyncio.to_thread(far.process.stop)
        _say(report, "delayed", done, probe)
    finally:
        await pool.close()
