"""Where a bare node lives, and its numbers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "VOICEHELPER_CLUSTER_HOME"
NODE = "node1"
NAMESPACE = "vh-kube"
"""Network namespace of the node."""
HOST_ADDRESS, NODE_ADDRESS, LINK_PREFIX = "10.250.0.1", "10.250.0.2", 24
"""Ends of the link between the machine and the node."""
POD_CIDR, SERVICE_CIDR = "10.244.0.0/24", "10.96.0.0/16"
BRIDGE = "cni0"
"""What pods are attached to; it has the first address of theirs."""
API_SERVICE, DNS_SERVICE = "10.96.0.1", "10.96.0.10"
API_PORT = 6443


@dataclass(frozen=True, slots=True)
class Home:
    """Folders of a node; all below ``root``."""

    root: Path

    @classmethod
    def default(cls) -> Home:
        """Of the machine's only node."""
        return cls(Path(os.environ.get(VARIABLE, "/var/lib/voicehelper-cluster")))

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.root / "pki"

    @property
    def logs(self) -> Path:
        """One file a process."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """Which processes run."""
        return self.root / "run"

    @property
    def node(self) -> Path:
        """What kubelet and containerd keep."""
        return self.root / "node"

    @property
    def socket(self) -> Path:
        """containerd's."""
        return self.root / "run" / "containerd.sock"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.root / "kubeconfig"


def cache() -> Path:
    """What is kept from one cluster to the next."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "voicehelper" / "cluster"
