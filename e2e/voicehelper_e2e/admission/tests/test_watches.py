"""Why the operator follows by itself and kopf only answers: what each watch costs and what it forgets (ADR 20)."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys

import pytest
from voicehelper_core.kubernetes_api.kinds import OURS
from voicehelper_e2e.admission.tests.harness import manifest, tenant
from voicehelper_e2e.admission.tests.relay import Relay

pytestmark = pytest.mark.integration
WAYS = ("follow", "kopf")


class Watcher:
    """A process that watches Tenants in one of the ways."""

    def __init__(self, way, kubeconfig, count):
        self._arguments = [way, str(kubeconfig), str(count)]
        self.heard, self.used = [], None

    async def __aenter__(self):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "voicehelper_e2e.admission.watcher", *self._arguments, env=environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_):
        self.process.kill()
        await self.process.wait()
        await self._task

    async def _read(self):
        async for line in self.process.stdout:
            found = json.loads(line)
            if "type" in found:
                self.heard.append((found["type"], found["name"]))
            else:
                self.used = found

    async def until(self, condition, seconds=60):
        async with asyncio.timeout(seconds):
            while not condition(self):
                assert self.process.returncode is None
                await asyncio.sleep(0.05)


@pytest.mark.timeout(280)
async def test_what_a_start_with_1000_tenants_costs(cluster, api, capsys):
    await api.create(manifest("TenantPlan", "team"), manager="test")
    for start in range(0, 1000, 50):
        await asyncio.gather(*(api.create(tenant(f"t{n}"), manager="test") for n in range(start, start + 50)))
    costs = {way: [] for way in WAYS}
    for _ in range(3):
        for way in WAYS:
            async with Watcher(way, cluster.server.kubeconfig, 1000) as watcher:
                await watcher.until(lambda watcher: watcher.used)
                assert {name for _, name in watcher.heard} == {f"t{n}" for n in range(1000)}
                costs[way].append(watcher.used)
    for way, found in costs.items():
        print(way, [f"{used['cpu_seconds']:.2f} CPU-s, {used['rss_mib']:.0f} MiB" for used in found])
    least = {way: min(used["cpu_seconds"] for used in found) for way, found in costs.items()}
    assert least["kopf"] > 3 * least["follow"]
    await api._json("delete", "DELETE", OURS["Tenant"], OURS["Tenant"].path())


@pytest.mark.parametrize("way", WAYS)
async def test_a_deletion_while_the_watch_is_away(way, cluster, api):
    """The version that it stood at is not kept any more when it comes back (410): it has to list anew."""
    await api.create(manifest("TenantPlan", "team"), manager="test")
    for name in ("stays", "goes"):
        await api.create(tenant(name), manager="test")
    network, kubeconfig = Relay(), cluster.folder / "relayed.kubeconfig"
    text = cluster.server.kubeconfig.read_text()
    port = int(re.search(r"https://127.0.0.1:(\d+)", text)[1])
    kubeconfig.write_text(text.replace(f":{port}", f":{network.port}"))
    await network.start([port])
    async with Watcher(way, kubeconfig, 0) as watcher:
        await watcher.until(lambda watcher: {("applied", "stays"), ("applied", "goes")} <= set(watcher.heard))
        await asyncio.sleep(1)
        await network.cut()
        await api.delete(OURS["Tenant"], "goes")
        await asyncio.to_thread(cluster.server.stop)
        await asyncio.to_thread(cluster.server.start)
        await network.start([port])
        await api.create(tenant("comes"), manager="test")
        await watcher.until(lambda watcher: ("applied", "comes") in watcher.heard)
        await asyncio.sleep(2)
        print(way, watcher.heard)
        assert (("deleted", "goes") in watcher.heard) is (way == "follow")
    await network.cut()
