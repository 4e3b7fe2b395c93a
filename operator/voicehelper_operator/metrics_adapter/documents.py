"""What the API answers, as JSON documents. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

GROUP, VERSION = "custom.metrics.k8s.io", "v1beta2"
API_VERSION = f"{GROUP}/{VERSION}"
METRIC = "http_requests_per_second"
RESOURCE = f"pods/{METRIC}"
Document = dict[str, Any]
_REASONS = {
    400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed",
    503: "ServiceUnavailable",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Value:
    """Of one pod: ``per_second`` over ``window`` seconds that ended at ``at``."""

    namespace: str
    pod: str
    per_second: float
    window: float
    at: datetime


def groups() -> Document:
    """All groups of this server."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group()]}


def group() -> Document:
    """The one."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group()}


def resources() -> Document:
    """What can be asked for."""
    found = {"name": RESOURCE, "singularName": "", "namespaced": True, "kind": "MetricValueList", "verbs": ["get"]}
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": API_VERSION, "resources": [found]}


def values(found: Iterable[Value]) -> Document:
    """A ``MetricValueList``."""
    return {
        "kind": "MetricValueList",
        "apiVersion": API_VERSION,
        "metadata": {},
        "items": [
            {
                "describedObject": {"kind": "Pod", "namespace": value.namespace, "name": value.pod, "apiVersion": "v1"},
                "metric": {"name": METRIC, "selector": None},
                "timestamp": value.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "windowSeconds": round(value.window),
                "value": quantity(value.per_second),
            }
            for value in found
        ],
    }


def quantity(number: float) -> str:
    """In thousandths, as the API writes amounts."""
    milli = round(number * 1000)
    return f"{milli}m" if milli % 1000 else str(milli // 1000)


def status(code: int, message: str) -> Document:
    """A refusal."""
    reason = _REASONS.get(code, "InternalError")
    failure = {"status": "Failure", "message": message, "reason": reason, "code": code}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, **failure}


def _group() -> Document:
    version = {"groupVersion": API_VERSION, "version": VERSION}
    return {"name": GROUP, "versions": [version], "preferredVersion": version}
