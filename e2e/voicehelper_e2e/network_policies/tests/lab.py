"""Two namespaces with pods that serve and probe, in a real cluster."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from voicehelper_e2e.cluster.at_hand import AtHand
from voicehelper_e2e.network_policies import live
from voicehelper_e2e.network_policies.evaluate import Cluster
from voicehelper_e2e.network_policies.policies import Pod

SCRIPT = Path(__file__).with_name("in_pod.py").read_text()
SUFFIX = os.getpid()
A, B = f"nft-{SUFFIX}-a", f"nft-{SUFFIX}-b"
SECONDS = 0.7
"""For a connection: less than TCP takes to try again, so that one probe is one attempt."""
_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


@dataclass(frozen=True)
class Target:
    """Where a probe goes, and the ends that may answer it there with their port."""

    name: str
    kind: str
    address: str
    port: int
    ends: Sequence[tuple[Pod | str, int]]

    @property
    def protocol(self) -> Any:
        return "UDP" if self.kind == "dns" else "TCP"


class Lab:
    """The namespaces, and what is in them."""

    def __init__(self, cluster: AtHand) -> None:
        self.cluster = cluster

    def up(self) -> None:
        for name, team in ((A, "one"), (B, "two")):
            labels = {"team": team, "pod-security.kubernetes.io/enforce": "restricted"}
            self.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        self.cluster.apply(
            self.pod(A, "web-1", "web"), self.pod(A, "web-2", "web"), self.pod(A, "client", "client"),
            self.pod(B, "client", "client"), self.pod(B, "stranger", "stranger"), self.service("web"),
        )  # fmt: skip
        for name in (A, B):
            self.cluster.kubectl("wait", "-n", name, "pod", "--all", "--for=condition=Ready", "--timeout=60s")

    def down(self) -> None:
        for name in (A, B):
            self.cluster.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")

    def pod(self, namespace: str, name: str, app: str, *command: str) -> dict[str, Any]:
        """Serves unless it is told something else."""
        ports = [{"name": "http", "containerPort": 8080}, {"name": "admin", "containerPort": 8081}]
        container = {
            "name": "it",
            "image": self.cluster.image,
            "imagePullPolicy": "Never",
            "command": ["python3.11", "-c", SCRIPT, *(command or ("serve", "8080", "8081"))],
            "ports": ports,
            "securityContext": _SECURITY,
        }
        if not command:
            container["readinessProbe"] = {"tcpSocket": {"port": "http"}, "periodSeconds": 1}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"namespace": namespace, "name": name, "labels": {"app": app, "name": name}},
            "spec": {
                "containers": [container],
                "restartPolicy": "Never" if command else "Always",
                "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": False,
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            },
        }  # fmt: skip

    def service(self, app: str) -> dict[str, Any]:
        spec = {"selector": {"app": app}, "ports": [{"port": 80, "targetPort": "http"}]}
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": A, "name": app}, "spec": spec}

    def policies(self, *specs: tuple[str, str]) -> None:
        """Namespace and spec; they take the place of all there are."""
        names = [f"p-{number}" for number in range(len(specs))]
        for namespace in (A, B):
            kept = {name for name, (own, _) in zip(names, specs, strict=True) if own == namespace}
            for item in self.cluster.listed("networkpolicy", "-n", namespace):
                if item["metadata"]["name"] not in kept:
                    self.cluster.kubectl("delete", "networkpolicy", "-n", namespace, item["metadata"]["name"])
        manifests = [
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"namespace": namespace, "name": name},
                "spec": yaml.safe_load(spec),
            }
            for name, (namespace, spec) in zip(names, specs, strict=True)
        ]
        if manifests:
            self.cluster.apply(*manifests)

    def world(self) -> Cluster:
        """The oracle, of what is there now."""
        found = self.cluster.listed("nodes")
        nodes = [address["address"] for item in found for address in item["status"]["addresses"]]
        policies = self.cluster.listed("networkpolicies", "--all-namespaces")
        return live.cluster(self.cluster.listed("namespaces"), policies, nodes)

    def pods(self) -> dict[tuple[str, str], Pod]:
        listed = live.pods(self.cluster.listed("pods", "--all-namespaces"))
        return {(pod.namespace, pod.name): pod for pod in listed}

    def behind(
        self, namespace: str, name: str, port: int, protocol: str = "TCP"
    ) -> tuple[str, list[tuple[Pod | str, int]]]:
        """A Service's address, and the ends behind that port."""
        [service] = self.cluster.listed("services", "-n", namespace, f"--field-selector=metadata.name={name}")
        [named] = [
            item.get("name", "")
            for item in service["spec"]["ports"]
            if item["port"] == port and item["protocol"] == protocol
        ]
        pods = {pod.address: pod for pod in self.pods().values()}
        slices = self.cluster.listed("endpointslices", "-n", namespace, "-l", f"kubernetes.io/service-name={name}")
        ends: list[tuple[Pod | str, int]] = [
            (pods.get(address, address), item["port"])
            for found in slices
            for item in found["ports"]
            if item.get("name", "") == named and item["protocol"] == protocol
            for end in found["endpoints"]
            for address in end["addresses"]
        ]
        return service["spec"]["clusterIP"], ends

    def probe(self, source: Pod, wanted: Sequence[tuple[str, str, int, float]]) -> list[str | None]:
        """Who answered each, from inside that pod."""
        found: list[str | None] = json.loads(
            self.cluster.kubectl(*self.inside(source, "probe"), given=json.dumps(wanted))
        )
        return found

    @staticmethod
    def inside(pod: Pod, *command: str) -> list[str]:
        """Arguments of kubectl."""
        return ["exec", "-i", "-n", pod.namespace, pod.name, "--", "python3.11", "-c", SCRIPT, *command]
