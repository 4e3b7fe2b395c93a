"""An operator in a process of its own: started, measured, ended."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from voicehelper_bench import memory
from voicehelper_bench.router.processes import free_port

_STOP_SECONDS = 30.0
_QUIET_SHARE, _QUIET_SECONDS, _LOOK_SECONDS = 0.05, 2.0, 0.25


@dataclass(frozen=True, slots=True)
class Variant:
    """A program that reconciles tenants."""

    name: str
    module: str
    label: str
    """For people."""
    resyncs: bool
    """Whether it looks at everything again without a reason."""


OURS = Variant("ours", "voicehelper_bench.operator.ours", "the operator", True)
NAIVE = Variant("kopf", "voicehelper_bench.operator.naive", "naive kopf handlers", False)
RESYNC_SECONDS = 10.0


class Operator:
    """Runs from its making until ``stop``."""

    def __init__(self, variant: Variant, kubeconfig: Path, log: Path) -> None:
        self.began, self._port, self.log = time.perf_counter(), free_port(), log
        environment = {
            **os.environ,
            "KUBECONFIG": str(kubeconfig),
            "VOICEHELPER_KUBECONFIG": str(kubeconfig),
            "VOICEHELPER_HTTP_HOST": "127.0.0.1",
            "VOICEHELPER_HTTP_PORT": str(self._port),
            "VOICEHELPER_RELEASE": "r00000000001",
            "VOICEHELPER_RESYNC_SECONDS": str(RESYNC_SECONDS),
            "VOICEHELPER_KUBERNETES": '{"namespace": "default"}',
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                [sys.executable, "-m", variant.module], stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                env=environment,
            )  # fmt: skip

    async def synced(self) -> float:
        """Seconds from the start until it says that it has seen everything. Raises RuntimeError where it has ended."""
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self._port}", trust_env=False) as client:
            while True:
                self._expect()
                try:
                    if (await client.get("/readyz", timeout=5)).is_success:
                        return time.perf_counter() - self.began
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.02)

    async def quiet(self) -> float:
        """Wait until it does next to nothing for some seconds; seconds from the start until that began."""
        since, used, at = time.perf_counter(), self.cpu(), time.perf_counter()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self._expect()
            now, seconds = time.perf_counter(), self.cpu()
            if (seconds - used) / (now - at) > _QUIET_SHARE:
                since = now
            elif now - since >= _QUIET_SECONDS:
                return since - self.began
            used, at = seconds, now

    def cpu(self) -> float:
        """Seconds until now."""
        return memory.processor_seconds(self._child.pid)

    def rss(self) -> float:
        """MiB now."""
        return memory.one(self._child.pid).rss

    def peak(self) -> float:
        """MiB at most until now, as Linux has noted it."""
        lines = Path(f"/proc/{self._child.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024

    def stop(self) -> None:
        """As a pod is stopped."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()

    def _expect(self) -> None:
        if self._child.poll() is not None:
            raise RuntimeError(f"the operator has ended:\n{self.log.read_text()[-3000:]}")


def servers_cpu(pids: dict[str, int]) -> float:
    """Seconds that the API server and its etcd have used."""
    seconds = 0.0
    for name in ("kube-apiserver", "etcd"):
        times = psutil.Process(pids[name]).cpu_times()
        seconds += times.user + times.system
    return seconds
