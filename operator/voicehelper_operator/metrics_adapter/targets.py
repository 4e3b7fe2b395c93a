"""Which pods are read: those of expanded cells that run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from voicehelper_core.kubernetes_api import Api
from voicehelper_core.kubernetes_api.client import Object
from voicehelper_core.kubernetes_api.follow import Delta, Selection, follow_all
from voicehelper_core.kubernetes_api.kinds import POD, ours
from voicehelper_crds import Cell

from voicehelper_operator.workloads.kubernetes import naming

_PODS = Selection(POD, labels=f"{naming.CELL},{naming.COMPONENT}!=step")
_CELLS = Selection(ours(Cell))


@dataclass(frozen=True, slots=True)
class Target:
    """A pod that answers at ``address``; ``uid`` tells it from another of its name."""

    uid: str
    namespace: str
    name: str
    labels: Mapping[str, str]
    address: str

    @property
    def cell(self) -> str:
        """Id of its cell."""
        return self.labels[naming.CELL]


class Targets:
    """As the watch has told. ``run`` feeds it."""

    def __init__(self) -> None:
        self._pods: dict[tuple[str, str], Target] = {}
        self._expanded: dict[str, str] = {}
        """Cell ids by the name of the Cell."""
        self._waiting = {POD, ours(Cell)}

    @property
    def synced(self) -> bool:
        """Whether everything that was there has been told."""
        return not self._waiting

    async def run(self, api: Api) -> None:
        """For ever."""
        async for delta in follow_all(api, _PODS, _CELLS):
            self.take(delta)

    def take(self, delta: Delta) -> None:
        """News of the watch."""
        if delta.type == "synced":
            self._waiting.discard(delta.kind)
        elif delta.kind == POD:
            self._take_pod(delta)
        else:
            self._take_cell(delta)

    def _take_pod(self, delta: Delta) -> None:
        meta = delta.object["metadata"]
        key = meta["namespace"], meta["name"]
        target = _target(delta.object) if delta.type == "applied" else None
        if target is not None:
            self._pods[key] = target
        else:
            self._pods.pop(key, None)

    def _take_cell(self, delta: Delta) -> None:
        name = delta.object["metadata"]["name"]
        self._expanded.pop(name, None)
        cell_id = (delta.object.get("status") or {}).get("cellId")
        if delta.type == "applied" and cell_id and (delta.object.get("spec") or {}).get("topology") == "expanded":
            self._expanded[name] = cell_id

    def all(self) -> list[Target]:
        """Those to read."""
        expanded = set(self._expanded.values())
        return [target for target in self._pods.values() if target.cell in expanded]

    def of(self, namespace: str) -> list[Target]:
        """Those of a namespace, by name."""
        return sorted((one for one in self.all() if one.namespace == namespace), key=lambda one: one.name)


def _target(pod: Object) -> Target | None:
    """None for one that is not up, goes, or says of itself to be of a cell whose namespace it is not in."""
    meta, status = pod["metadata"], pod.get("status") or {}
    labels, address = meta.get("labels") or {}, status.get("podIP")
    if status.get("phase") != "Running" or not address or meta.get("deletionTimestamp"):
        return None
    if meta["namespace"] != f"cell-{labels.get(naming.CELL)}":
        return None
    return Target(meta["uid"], meta["namespace"], meta["name"], labels, address)
