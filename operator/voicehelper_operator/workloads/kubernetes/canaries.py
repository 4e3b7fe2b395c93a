"""A release that is tried beside a cell, as the cluster shows it, and what of it stays until its pods have ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from voicehelper_core.kubernetes_api import kinds as k
from voicehelper_core.kubernetes_api.client import Object
from voicehelper_core.kubernetes_api.kinds import Kind

from voicehelper_operator.workloads.interface import CanaryState
from voicehelper_operator.workloads.kubernetes import naming, states
from voicehelper_operator.workloads.kubernetes.components import CANARY, GRPC, HTTP


def is_one(item: Object) -> bool:
    """Whether it belongs to what is tried."""
    return bool(item["metadata"]["labels"].get(naming.COMPONENT) == CANARY.name)


def state(deployments: Iterable[Object], pods: Sequence[Object], address: str) -> CanaryState | None:
    """How it is; None where there is none. ``pods`` are its own, ``address`` is that of its Service."""
    found = next((item for item in deployments if is_one(item)), None)
    if found is None:
        return None
    ready = bool(address) and states.answers(found, pods)
    return CanaryState(
        release=states.release(found["spec"]["template"]),
        ready=ready,
        restarts=states.restarts(pods),
        message="" if ready else states.trouble([found], pods),
        http=f"{address}:{HTTP}" if address else "",
        grpc=f"{address}:{GRPC}" if address else "",
    )


def removable(unwanted: Iterable[tuple[Kind, Object]], pods: Iterable[Object]) -> list[tuple[Kind, Object]]:
    """Of what is not wanted any more, what can go now.

    What was tried has requests until its pods have ended: its address and what lets it speak to others stay so long.
    """
    lives = any(map(is_one, states.running(pods)))
    return [(kind, item) for kind, item in unwanted if kind is k.DEPLOYMENT or not (lives and is_one(item))]
