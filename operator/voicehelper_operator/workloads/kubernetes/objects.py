"""What is there of the cells' objects, as watches and our own writes have told."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Sequence

from voicehelper_core.kubernetes_api import Api
from voicehelper_core.kubernetes_api import kinds as k
from voicehelper_core.kubernetes_api.client import Object
from voicehelper_core.kubernetes_api.follow import Delta, Selection, follow_all, is_ghost
from voicehelper_core.kubernetes_api.kinds import Kind, kind_of

from voicehelper_operator.workloads.kubernetes import naming
from voicehelper_operator.workloads.kubernetes.conform import lacking
from voicehelper_operator.workloads.kubernetes.manifests import Manifest

MADE: tuple[Kind, ...] = (
    k.NAMESPACE, k.SERVICE_ACCOUNT, k.RESOURCE_QUOTA, k.LIMIT_RANGE, k.NETWORK_POLICY, k.SERVICE, k.DEPLOYMENT,
    k.POD_DISRUPTION_BUDGET, k.AUTOSCALER,
)  # fmt: skip
"""Kinds that a cell consists of, besides its Secret and the pods that its Deployments make."""
STAMP = "voicehelper.io/applied"
"""Annotation with a digest of the manifest: what a later manifest does not say any more has to go."""
Key = tuple[str, str, str]


def stamped(manifest: Manifest) -> Manifest:
    """The manifest with its digest."""
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": {STAMP: digest}}}


def key_of(kind: Kind, item: Object) -> Key:
    """Kind, namespace and name."""
    return kind.name, item["metadata"].get("namespace", ""), item["metadata"]["name"]


class Objects:
    """Of all cells. ``run`` feeds it."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._found: dict[Key, Object] = {}
        self._cells: dict[str, set[Key]] = {}
        self._wanted: dict[str, dict[Key, Manifest]] = {}
        self._fitting: set[Key] = set()
        """Compared and found as wanted; nobody has said anything else of them since."""
        self.synced = asyncio.Event()

    async def run(self) -> AsyncIterator[str]:
        """Ids of cells of which something changed that somebody should look at; for ever."""
        selections = [Selection(kind, labels=naming.OWNED) for kind in (*MADE, k.POD)]
        # By its name: the operator's role holds for Secrets of this name only.
        selections.append(Selection(k.SECRET, fields=f"metadata.name={naming.CREDENTIALS}"))
        waiting = {selection.kind for selection in selections}
        async for delta in follow_all(self._api, *selections):
            if delta.type == "synced":
                for cell in self._relisted(delta):
                    yield cell
                waiting.discard(delta.kind)
                if not waiting:
                    self.synced.set()
            elif told := self._take(delta):
                yield told

    def _relisted(self, synced: Delta) -> set[str]:
        """Cells of what has gone without a word."""
        kind = synced.kind.name
        gone = [
            item
            for key, item in self._found.items()
            if key[0] == kind and is_ghost(synced, item["metadata"]["uid"], _version(item))
        ]
        cells = {self._take(Delta("deleted", synced.kind, item)) for item in gone}
        return {cell for cell in cells if cell}

    def _take(self, delta: Delta) -> str | None:
        """The cell, where this has to be looked at: pods always, other things when they are not as they should be."""
        key = key_of(delta.kind, delta.object)
        if delta.type == "deleted":
            before = self._found.pop(key, None)
            self._fitting.discard(key)
            cell = _cell(before or delta.object)
            self._cells.get(cell, set()).discard(key)
            return cell or None
        self.put(delta.kind, delta.object)
        cell = _cell(delta.object)
        if not cell:
            return None
        wanted = self._wanted.get(cell, {}).get(key)
        if delta.kind in (k.POD, k.DEPLOYMENT) or wanted is None:
            return cell
        return cell if lacking(wanted, delta.object) is not None else None

    def put(self, kind: Kind, item: Object) -> None:
        """The newer one stays."""
        item["metadata"].pop("managedFields", None)
        key = key_of(kind, item)
        before = self._found.get(key)
        same = before is not None and before["metadata"]["uid"] == item["metadata"]["uid"]
        if before is not None and same and _version(before) >= _version(item):
            return
        self._found[key] = item
        self._fitting.discard(key)
        if cell := _cell(item):
            self._cells.setdefault(cell, set()).add(key)

    def want(self, cell_id: str, manifests: Iterable[Manifest]) -> None:
        """What the cell should have from now on."""
        before = self._wanted.get(cell_id, {})
        now = self._wanted[cell_id] = {key_of(kind_of(manifest), manifest): manifest for manifest in manifests}
        self._fitting -= {key for key in before.keys() | now.keys() if before.get(key) != now.get(key)}

    def forget(self, cell_id: str) -> None:
        """Nothing is wanted of the cell any more."""
        self._fitting -= self._wanted.pop(cell_id, {}).keys()

    def found(self, manifest: Manifest) -> Object | None:
        """The object of a manifest, as it is."""
        return self._found.get(key_of(kind_of(manifest), manifest))

    def lacking(self, manifest: Manifest) -> str | None:
        """The first field that is not as it should be; None where the object is as the manifest says."""
        found = self.found(manifest)
        return "." if found is None or found["metadata"].get("deletionTimestamp") else lacking(manifest, found)

    def as_wanted(self, cell_id: str) -> bool:
        """Whether the cell has all that it should have, as it should be."""
        for key, manifest in self._wanted.get(cell_id, {}).items():
            if key in self._fitting:
                continue  # this is asked at each event of a pod, and comparing all would take milliseconds
            if self.lacking(manifest) is not None:
                return False
            self._fitting.add(key)
        return True

    def of(self, cell_id: str, kind: Kind) -> list[Object]:
        """The cell's objects of a kind, by name."""
        found = [self._found[key] for key in self._cells.get(cell_id, ()) if key[0] == kind.name and key in self._found]
        return sorted(found, key=lambda item: str(item["metadata"]["name"]))

    def unwanted(self, cell_id: str, manifests: Sequence[Manifest]) -> list[tuple[Kind, Object]]:
        """What the cell has of our making and should not have."""
        wanted = {key_of(kind_of(manifest), manifest) for manifest in manifests}
        return [
            (kind, item)
            for kind in MADE
            for item in self.of(cell_id, kind)
            if key_of(kind, item) not in wanted and not item["metadata"].get("deletionTimestamp")
        ]


def _cell(item: Object) -> str:
    return str((item["metadata"].get("labels") or {}).get(naming.CELL, ""))


def _version(item: Object) -> int:
    return int(item["metadata"]["resourceVersion"])
