"""Whether a user may read a metric: the API server's own rules decide."""

from __future__ import annotations

import time
from dataclasses import dataclass

from voicehelper_core.errors import PermissionDenied
from voicehelper_core.kubernetes_api import Api

from voicehelper_operator.metrics_adapter.documents import GROUP, METRIC, RESOURCE, VERSION
from voicehelper_operator.metrics_adapter.trust import Caller

_MASTERS = "system:masters"
"""May do everything, as in every API server."""
_SECONDS, _MOST = 10.0, 1000


@dataclass(frozen=True, slots=True)
class _Question:
    user: str
    groups: tuple[str, ...]
    namespace: str
    pod: str


class Access:
    """Asks by SubjectAccessReview; an answer holds for ten seconds, as in the API servers of Kubernetes."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: dict[_Question, tuple[float, bool]] = {}

    async def check(self, caller: Caller, namespace: str, pod: str) -> None:
        """Raises PermissionDenied, or what the API raises."""
        if _MASTERS in caller.groups:
            return
        question, now = _Question(caller.user, caller.groups, namespace, pod), time.monotonic()
        until, allowed = self._known.get(question, (0.0, False))
        if until < now:
            allowed = await self._ask(caller, namespace, pod)
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[question] = now + _SECONDS, allowed
        if not allowed:
            raise PermissionDenied(f'User "{caller.user}" cannot get {RESOURCE} of {GROUP} in namespace "{namespace}"')

    async def _ask(self, caller: Caller, namespace: str, pod: str) -> bool:
        spec = {
            "user": caller.user,
            "groups": list(caller.groups),
            "extra": dict(caller.extra),
            "resourceAttributes": {
                "group": GROUP, "version": VERSION, "resource": "pods", "subresource": METRIC, "verb": "get",
                "namespace": namespace, "name": pod,
            },
        }  # fmt: skip
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {}, "spec": spec}
        answer = await self._api.create(review, manager="voicehelper-metrics-adapter")
        return bool(answer["status"].get("allowed"))
