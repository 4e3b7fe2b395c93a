"""How a cell's deployments and pods are. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from voicehelper_operator.workloads.kubernetes import naming

Object = dict[str, Any]
_STARTING = ("ContainerCreating", "PodInitializing")


def available(deployment: Object) -> bool:
    """Whether at least one pod answers."""
    return int((deployment.get("status") or {}).get("availableReplicas") or 0) > 0


def answers(deployment: Object, pods: Iterable[Object]) -> bool:
    """Whether at least one of its pods answers, and none that stays has another release."""
    wanted = release(deployment["spec"]["template"])
    staying = (pod for pod in running(pods) if not pod["metadata"].get("deletionTimestamp"))
    return available(deployment) and all(release(pod) == wanted for pod in staying)


def release(item: Object) -> str:
    """Of a pod, or of a template of pods."""
    image: str = item["spec"]["containers"][0]["image"]
    return image.rpartition("@")[2] if "@" in image else image.rpartition(":")[2]


def settled(deployment: Object) -> bool:
    """Whether all pods are those of the newest template, and all answer."""
    status, wanted = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
    counts = [int(status.get(name) or 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    return bool(status.get("observedGeneration") == deployment["metadata"]["generation"] and counts == [wanted] * 3)


def running(pods: Iterable[Object]) -> list[Object]:
    """Those of services that have not ended, pods that leave included."""
    ended = ("Succeeded", "Failed")
    return [
        pod
        for pod in pods
        if pod["metadata"]["labels"].get(naming.COMPONENT) != naming.STEP_COMPONENT
        and (pod.get("status") or {}).get("phase") not in ended
    ]


def newest(deployments: Sequence[Object], pods: Iterable[Object]) -> bool:
    """Whether no pod runs that was told something else than its deployment tells; what leaves runs as well."""
    told = {_labelled(item): _config(item["spec"]["template"]) for item in deployments}
    return all(told.get(_labelled(pod)) == _config(pod) for pod in running(pods))


def _labelled(item: Object) -> str:
    return str(item["metadata"]["labels"].get(naming.COMPONENT))


def _config(item: Object) -> str | None:
    """The checksum that a pod has from its template."""
    found: str | None = (item["metadata"].get("annotations") or {}).get(naming.CONFIG)
    return found


def restarts(pods: Iterable[Object]) -> int:
    """Of all containers."""
    return sum(int(status.get("restartCount") or 0) for pod in pods for status in _containers(pod))


def trouble(deployments: Sequence[Object], pods: Sequence[Object]) -> str:
    """Why it is not ready, as well as that can be known; empty where nothing is wrong but time."""
    for pod in sorted(pods, key=lambda item: str(item["metadata"].get("creationTimestamp")), reverse=True):
        if not pod["metadata"].get("deletionTimestamp") and (message := pod_trouble(pod)):
            return f"pod {pod['metadata']['name']}: {message}"
    for deployment in deployments:
        for condition in (deployment.get("status") or {}).get("conditions") or ():
            failed = condition["type"] == "ReplicaFailure" and condition["status"] == "True"
            stuck = condition["type"] == "Progressing" and condition["status"] == "False"
            if failed or stuck:
                return f"deployment {deployment['metadata']['name']}: {condition.get('message') or condition['reason']}"
    return ""


def pod_trouble(pod: Object) -> str:
    """What keeps one pod from being ready; empty where nothing does, or it only starts."""
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{condition.get('reason', 'Unschedulable')}: {condition.get('message', '')}"
    for status in _containers(pod):
        state = status.get("state") or {}
        waiting, ended = (
            state.get("waiting"),
            state.get("terminated") or (status.get("lastState") or {}).get("terminated"),
        )
        if status.get("ready"):
            continue
        if ended and ended.get("exitCode"):
            said = str(ended.get("message") or "").strip()[-500:]
            return f"{ended.get('reason', 'Error')} (exit code {ended['exitCode']})" + (f": {said}" if said else "")
        if waiting and waiting.get("reason") not in _STARTING:
            return f"{waiting.get('reason')}: {waiting.get('message', '')}"[:600]
    return ""


def _containers(pod: Object) -> list[Object]:
    return (pod.get("status") or {}).get("containerStatuses") or []
