"""A runtime over a real API server, and what kubelet and controllers would say."""

from __future__ import annotations

import asyncio

from voicehelper_core.kubernetes_api import kinds as k

from voicehelper_operator.workloads.kubernetes import naming
from voicehelper_operator.workloads.kubernetes.runtime import KubernetesRuntime
from voicehelper_operator.workloads.kubernetes.settings import KubernetesSettings

SETTINGS = KubernetesSettings(image_repository="registry.example/voicehelper")


class Running:
    """A runtime whose changes are collected."""

    def __init__(self, api):
        self.runtime, self.changed = KubernetesRuntime(api, SETTINGS), []
        self.task = asyncio.create_task(self._collect())

    async def _collect(self):
        async for name in self.runtime.changes():
            self.changed.append(name)

    async def end(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def until(condition, seconds=15):
    async with asyncio.timeout(seconds):
        while not (found := await condition()):
            await asyncio.sleep(0.05)
    return found


async def pretend_ready(api, spec, replicas=1, name="cell"):
    """What kubelet and the deployment's controller would write."""
    namespace = naming.namespace(spec.cell_id)
    found = await api.get(k.DEPLOYMENT, name, namespace)
    status = {
        "observedGeneration": found["metadata"]["generation"], "replicas": replicas, "updatedReplicas": replicas,
        "readyReplicas": replicas, "availableReplicas": replicas,
    }  # fmt: skip
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace}}
    await api.apply({**body, "status": status}, manager="kubelet", force=True, subresource="status")
