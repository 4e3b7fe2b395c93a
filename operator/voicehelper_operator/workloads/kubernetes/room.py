"""Room for what runs still: a namespace's quota grows at once, and shrinks when nothing larger runs any more.

New pods come before old ones go. With the smaller quota at once they would wait for room that only their coming makes.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubernetes.utils.quantity import parse_quantity
from voicehelper_core.kubernetes_api import kinds as k
from voicehelper_core.kubernetes_api.kinds import kind_of

from voicehelper_operator.workloads.kubernetes import states
from voicehelper_operator.workloads.kubernetes.manifests import Manifest
from voicehelper_operator.workloads.kubernetes.objects import Objects, stamped


def kept(objects: Objects, cell_id: str, wanted: Sequence[Manifest]) -> list[Manifest]:
    """What is wanted now, of stamped manifests. A step, which knows nothing of what else runs, takes no room away."""
    deployments = [manifest for manifest in wanted if kind_of(manifest) is k.DEPLOYMENT]
    alone = states.newest(deployments, objects.of(cell_id, k.POD))
    if deployments and alone and all(_settled(objects, manifest) for manifest in deployments):
        return [*wanted]
    return [_roomy(objects, item) if kind_of(item) is k.RESOURCE_QUOTA else item for item in wanted]


def _settled(objects: Objects, deployment: Manifest) -> bool:
    found = objects.found(deployment)
    return found is not None and objects.lacking(deployment) is None and states.settled(found)


def _roomy(objects: Objects, quota: Manifest) -> Manifest:
    found = objects.found(quota)
    if found is None:
        return quota
    had, wanted = found["spec"].get("hard", {}), quota["spec"]["hard"]
    hard = {name: max(amount, had.get(name, "0"), key=parse_quantity) for name, amount in wanted.items()}
    return quota if hard == wanted else stamped({**quota, "spec": {"hard": hard}})
