"""What the control plane costs: starts, memory, an Envoy that comes back, and hours in which nothing changes."""

from __future__ import annotations

import time

import httpx

from voicehelper_bench.figures import Report
from voicehelper_bench.router import envoys
from voicehelper_bench.router.control import Control
from voicehelper_bench.router.processes import free_port
from voicehelper_bench.router.site import Front, Site

_IDLE_SECONDS = 20.0
_LIMIT_SECONDS = 120.0
_SETTLE_SECONDS = 3.0


def stat(admin_port: int, name: str) -> int:
    """A counter or gauge of Envoy's."""
    text = httpx.get(f"http://127.0.0.1:{admin_port}/stats?filter={name}", trust_env=False, timeout=30).text
    return sum(int(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(f"{name}:"))


def started(report: Report, name: str, control: Control) -> None:
    """The parts of a control plane's start, and what it takes."""
    report.add(f"{name}.answering", control.answering, "s")
    report.add(f"{name}.read", control.ready - control.answering, "s")
    report.add(f"{name}.cpu", control.process.cpu(), "CPU-s")
    report.add(f"{name}.memory", control.process.memory(), "MiB")


def cold_envoy(report: Report, site: Site, plane: Control) -> None:
    """An Envoy that knows nothing, until it accepts connections; its memory, and what it costs the control plane."""
    document, port, _ = site.bootstrap(plane.xds_port, plane.http_port)
    before, began = plane.process.cpu(), time.perf_counter()
    with envoys.running("cold", document, site.folder, site.own, port) as process:
        report.add("cold.envoy", time.perf_counter() - began, "s")
        report.add("cold.envoy.cpu", process.cpu(), "CPU-s")
        report.add("cold.envoy.memory", process.memory(), "MiB")
        report.add("cold.envoy.xds_cpu", plane.process.cpu() - before, "CPU-s")
        report.add("xds.memory", plane.process.memory(), "MiB")


def idle(report: Report, control: Control) -> None:
    """What it costs when nothing happens (the watch looks every two seconds whether it missed something)."""
    before = control.process.cpu()
    time.sleep(_IDLE_SECONDS)
    used = control.process.cpu() - before
    report.add("xds.idle", 1e3 * used / _IDLE_SECONDS, "ms of CPU/s")


def from_disk(report: Report, site: Site, ports: tuple[int, int]) -> None:
    """The control plane starts while Postgres is away, from the copy that the last one left."""
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    with site.passing_control(nowhere, "xds-cells", xds_port=ports[0], http_port=ports[1]) as plane:
        report.add("disk.xds.answering", plane.answering, "s")
        report.add("disk.xds.read", plane.ready - plane.answering, "s")


def resync(report: Report, site: Site, dsn: str, envoy: Front, ports: tuple[int, int]) -> None:
    """The control plane is started anew; the Envoy that has everything comes back, and nothing is sent again."""
    with site.passing_control(dsn, "xds-again", xds_port=ports[0], http_port=ports[1]) as plane:
        before, envoy_before = plane.process.cpu(), envoy.process.cpu()
        deadline = time.monotonic() + _LIMIT_SECONDS
        while not (plane.metric("router_xds_streams") and stat(envoy.admin_port, "control_plane.connected_state")):
            if time.monotonic() > deadline:
                raise TimeoutError("Envoy did not come back to the control plane")
            time.sleep(0.3)
        time.sleep(_SETTLE_SECONDS)
        report.add("resync.xds_cpu", plane.process.cpu() - before, "CPU-s")
        report.add("resync.envoy_cpu", envoy.process.cpu() - envoy_before, "CPU-s")
        report.add("resync.resources", plane.metric("router_xds_resources_total"), "resources sent")
