"""``WorkloadRuntime`` on Kubernetes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from voicehelper_core import errors
from voicehelper_core.kubernetes_api import Api
from voicehelper_core.kubernetes_api import kinds as k
from voicehelper_core.kubernetes_api.client import Object
from voicehelper_core.kubernetes_api.kinds import kind_of

from voicehelper_operator.workloads.interface import WorkloadSpec, WorkloadState, workload_name
from voicehelper_operator.workloads.kubernetes import canaries, manifests, naming, ownership, room, states, steps
from voicehelper_operator.workloads.kubernetes.components import (
    CANARIES,
    CANARY,
    GRPC,
    HTTP,
    TOPOLOGIES,
    components,
    entry,
)
from voicehelper_operator.workloads.kubernetes.manifests import Manifest
from voicehelper_operator.workloads.kubernetes.objects import Objects, stamped
from voicehelper_operator.workloads.kubernetes.settings import KubernetesSettings

_SYNC_SECONDS = 30
_REMAINING = ("NamespaceContentRemaining", "NamespaceFinalizersRemaining")


class KubernetesRuntime:
    """One cluster's cells. ``changes`` has to run: it feeds what all others read."""

    topologies = frozenset(TOPOLOGIES)
    seamless = True
    canaries = CANARIES

    def __init__(self, api: Api, settings: KubernetesSettings) -> None:
        self._api, self._settings, self._objects = api, settings, Objects(api)

    async def close(self) -> None:
        """The API is closed by whoever opened it."""

    async def changes(self) -> AsyncIterator[str]:
        told: dict[str, tuple[object, ...]] = {}
        async for cell_id in self._objects.run():
            shown = self._shown(cell_id)
            if told.get(cell_id) != shown or not self._objects.as_wanted(cell_id):
                told[cell_id] = shown
                yield workload_name(cell_id)

    def _shown(self, cell_id: str) -> tuple[object, ...]:
        """What is news where it changes: how the workload is, or what is left of one that does not run."""
        if (state := self._state(cell_id)) is None:
            pods = states.running(self._objects.of(cell_id, k.POD))
            return bool(self._objects.of(cell_id, k.NAMESPACE)), bool(pods)
        rolled = all(map(states.settled, self._objects.of(cell_id, k.DEPLOYMENT)))
        return state.ready, rolled, state.settled, state.restarts, state.message, state.canary

    async def ensure(self, spec: WorkloadSpec) -> WorkloadState:
        await self._apply(spec, manifests.of_cell(spec, self._settings))
        state = self._state(spec.cell_id)
        if state is None:
            raise errors.Unavailable("the cell's deployment went away while it was made")
        return state

    async def sleep(self, spec: WorkloadSpec) -> bool:
        await self._apply(spec, manifests.of_cell(spec, self._settings, asleep=True))
        return not states.running(self._objects.of(spec.cell_id, k.POD))

    async def observe(self, cell_id: str) -> WorkloadState | None:
        await self._until_synced()
        return self._state(cell_id)

    async def remove(self, cell_id: str) -> str | None:
        self._objects.forget(cell_id)
        name = naming.namespace(cell_id)
        try:
            found = await self._api.get(k.NAMESPACE, name)
            if not found["metadata"].get("deletionTimestamp"):
                if pods := await self._end_services(cell_id):
                    return f"pods come to their end: {', '.join(pods)}"[:500]
                await self._api.delete(k.NAMESPACE, name)
        except errors.NotFound:
            return None
        return f"namespace {name} is going{_left(found)}"

    async def _end_services(self, cell_id: str) -> list[str]:
        """Pods that run still. The controller of namespaces, where it meets one, waits for half its grace period."""
        await self._until_synced()
        for item in self._objects.of(cell_id, k.DEPLOYMENT):
            await self._api.delete(k.DEPLOYMENT, item["metadata"]["name"], item["metadata"]["namespace"])
        return [item["metadata"]["name"] for item in states.running(self._objects.of(cell_id, k.POD))]

    async def run_once(self, spec: WorkloadSpec, command: str) -> str:
        await self._apply(spec, manifests.of_space(spec, self._settings), prune=False)
        return await steps.run(self._api, spec, self._settings, command)

    async def _until_synced(self) -> None:
        """Raises Unavailable where the cluster has not told yet what is there."""
        try:
            async with asyncio.timeout(_SYNC_SECONDS):
                await self._objects.synced.wait()
        except TimeoutError:
            raise errors.Unavailable("the cluster has not told yet what is there") from None

    async def _apply(self, spec: WorkloadSpec, wanted: list[Manifest], *, prune: bool = True) -> None:
        """Write what is not as it should be. Raises Conflict at the end where others own a field."""
        await self._until_synced()
        wanted = room.kept(self._objects, spec.cell_id, [stamped(manifest) for manifest in wanted])
        unwanted: list[tuple[k.Kind, Object]] = []
        if prune:
            self._objects.want(spec.cell_id, wanted)
            unwanted = self._objects.unwanted(spec.cell_id, wanted)
            await self._end_former(spec, unwanted)
        conflicts: list[errors.Conflict] = []
        for manifest in wanted:
            if self._objects.lacking(manifest) is None:
                continue
            try:
                self._objects.put(kind_of(manifest), await ownership.applied(self._api, manifest))
            except errors.Conflict as conflict:
                if "fields" not in conflict.extra:
                    raise
                conflicts.append(conflict)
        for kind, item in canaries.removable(unwanted, self._objects.of(spec.cell_id, k.POD)):
            await self._api.delete(kind, item["metadata"]["name"], item["metadata"].get("namespace"))
        if conflicts:
            raise errors.Conflict("; ".join(conflict.detail for conflict in conflicts)[:1000], fields=[
                field for conflict in conflicts for field in conflict.extra["fields"]
            ])  # fmt: skip

    async def _end_former(self, spec: WorkloadSpec, unwanted: list[tuple[k.Kind, Object]]) -> None:
        """Services of another topology, before those of this one begin: a compact cell takes their work for lost.

        Raises Unavailable until they are gone.
        """
        former = [item for kind, item in unwanted if kind is k.DEPLOYMENT and not canaries.is_one(item)]
        for item in former:
            await self._api.delete(k.DEPLOYMENT, item["metadata"]["name"], item["metadata"]["namespace"])
        parts = {component.name for component in components(spec.topology)}
        names = parts | {naming.STEP_COMPONENT, CANARY.name}
        pods = self._objects.of(spec.cell_id, k.POD)
        if former or any(item["metadata"]["labels"].get(naming.COMPONENT) not in names for item in pods):
            raise errors.Unavailable("the services of the former topology come to their end")

    def _state(self, cell_id: str) -> WorkloadState | None:
        every, every_pod = self._objects.of(cell_id, k.DEPLOYMENT), self._objects.of(cell_id, k.POD)
        deployments = [item for item in every if not canaries.is_one(item)]
        if not deployments or all(item["spec"].get("replicas") == 0 for item in deployments):
            return None
        pods = [item for item in every_pod if not canaries.is_one(item)]
        tried = [item for item in every_pod if canaries.is_one(item)]
        canary = canaries.state(every, tried, self._address(cell_id, CANARY.name))
        ready = all(states.available(item) for item in deployments)
        rolled = all(states.settled(item) for item in deployments)
        message = "" if rolled else states.trouble(deployments, pods)
        release = states.release(deployments[0]["spec"]["template"])
        if canary is not None and canary.release != release and canary.message and not message:
            message = f"release {canary.release}: {canary.message}"
        names = {item["metadata"]["name"] for item in deployments}
        door = next((entry(topology) for topology in TOPOLOGIES if entry(topology) in names), "")
        address = self._address(cell_id, door)
        return WorkloadState(
            ready=ready and bool(address),
            state="ready" if ready else "starting",
            restarts=states.restarts(pods),
            message=message,
            release=release,
            http=f"{address}:{HTTP}",
            grpc=f"{address}:{GRPC}",
            settled=rolled and canary is None and states.newest(every, every_pod),
            canary=canary,
            rolled=rolled,
        )

    def _address(self, cell_id: str, name: str) -> str:
        """Of a Service; empty while it is not there."""
        found = (item for item in self._objects.of(cell_id, k.SERVICE) if item["metadata"]["name"] == name)
        return next((str(item["spec"]["clusterIP"]) for item in found), "")


def _left(namespace: Object) -> str:
    """What the namespace's controller says of what is left."""
    left = [
        str(condition.get("message", ""))
        for condition in (namespace.get("status") or {}).get("conditions") or ()
        if condition["type"] in _REMAINING and condition["status"] == "True"
    ]
    return f": {'; '.join(left)}"[:500] if left else ""
