"""A tenant whose cell runs each service alone and has more replicas when more is asked of it."""

from __future__ import annotations

import concurrent.futures
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from kubernetes.utils.quantity import parse_quantity

from voicehelper_e2e.kubernetes.installation import NAMESPACE
from voicehelper_e2e.kubernetes.people import People

NAME = "initrode"
REQUESTS_PER_SECOND, MOST_REPLICAS = 5, 2
_READY, _CLIENTS, _PAUSE = "300s", 4, 0.1
_API = "voicehelper.io/v1alpha1"


@dataclass
class Wide:
    """The tenant and its cell."""

    people: People
    scaled_up: list[float] = field(default_factory=list)
    """When, by the monotonic clock."""

    def arrive(self) -> None:
        """Until it is ready. Raises Failure."""
        kubectl = self.people.installation.kubectl
        for manifest in _manifests():
            self.people.installation.cluster.apply(manifest)
        kubectl("wait", f"tenant/{NAME}", "--for=condition=Ready", f"--timeout={_READY}")

    def leave(self) -> None:
        """Nothing is left. Raises Failure."""
        kubectl = self.people.installation.kubectl
        kubectl("delete", f"tenant/{NAME}", "--ignore-not-found", "--timeout=180s")
        self.people.patch(f"cell/{NAME}", {"deletion": {"policy": "Delete"}})
        kubectl("delete", f"cell/{NAME}", f"cellclass/{NAME}", "--ignore-not-found", "--timeout=180s")

    @property
    def namespace(self) -> str:
        """Of its cell."""
        return self.people.namespace(NAME)

    def replicas(self, service: str) -> tuple[int, int]:
        """Wanted and ready."""
        found = self.people.installation.get("deployment", service, self.namespace)
        return found["spec"]["replicas"], found["status"].get("readyReplicas", 0)

    def requests(self, service: str) -> float | None:
        """Requests a second and pod, as the autoscaler of the service sees them."""
        status = self.people.installation.get("hpa", service, self.namespace).get("status", {})
        shown = [item["pods"]["current"]["averageValue"] for item in status.get("currentMetrics", ()) if "pods" in item]
        return float(parse_quantity(shown[0])) if shown else None  # type: ignore[no-untyped-call]

    @contextmanager
    def asked(self) -> Iterator[list[int]]:
        """Clients that ask all the time; the statuses of their answers."""
        stop, statuses = threading.Event(), list[int]()
        token = self.people.installation.login(NAME)

        def ask() -> None:
            with self.people.installation.client(NAME, token) as client:
                while not stop.is_set():
                    statuses.append(_status(client))
                    time.sleep(_PAUSE)

        with concurrent.futures.ThreadPoolExecutor(_CLIENTS) as pool:
            asking = [pool.submit(ask) for _ in range(_CLIENTS)]
            try:
                yield statuses
            finally:
                stop.set()
                for one in asking:
                    one.result()


def adapter_ready(people: People) -> bool:
    """Whether the API server has the metrics of the adapter."""
    kubectl = people.installation.kubectl
    kubectl("rollout", "status", "deployment/metrics-adapter", "-n", NAMESPACE, "--timeout=120s")
    found = json.loads(kubectl("get", "apiservice", "v1beta2.custom.metrics.k8s.io", "-o", "json"))
    return any(item["type"] == "Available" and item["status"] == "True" for item in found["status"]["conditions"])


def _status(client: httpx.Client) -> int:
    return client.get("/api/v1/conversations", params={"limit": 1}).status_code


def _manifests() -> list[dict[str, Any]]:
    size = {
        "cpu": "240m", "memory": "2Gi", "postgresConnections": 40, "replicas": 1, "maxReplicas": MOST_REPLICAS,
        "targetRequestsPerSecond": REQUESTS_PER_SECOND,
    }  # fmt: skip
    cell = {"tenancy": "dedicated", "topology": "expanded", "classRef": NAME, "deletion": {"policy": "Delete"}}
    tenant = {
        "planRef": "enterprise", "admin": {"email": f"admin@{NAME}.example"}, "placement": {"cell": NAME},
        "deletion": {"policy": "Delete"},
    }  # fmt: skip
    return [
        {"apiVersion": _API, "kind": kind, "metadata": {"name": NAME}, "spec": spec}
        for kind, spec in (("CellClass", size), ("Cell", cell), ("Tenant", tenant))
    ]
