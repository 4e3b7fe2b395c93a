"""What cells on Kubernetes need to know of the cluster."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Peer(BaseModel):
    """Who is at the other end of a connection, as a NetworkPolicy can say it."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    cidr: str = ""
    """Addresses outside of the cluster, as ``192.0.2.10/32``."""
    namespace: str = ""
    """Namespace of pods of the cluster."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Their labels; all pods of the namespace without any."""
    ports: list[int] = Field(min_length=1)
    """TCP ports."""


class KubernetesSettings(BaseModel):
    """Of the cluster and of the platform's own pods."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    namespace: str = "voicehelper-prod"
    """Namespace of the platform's own pods; router, identity, inference and analytics have labels there."""
    monitoring_namespace: str = "voicehelper-monitoring"
    """Namespace that may read metrics and is sent traces."""
    image_repository: str = "voicehelper"
    """Image of cells, without its tag: the release is the tag, or a digest where it begins with ``sha256:``."""
    image_pull_policy: str = "IfNotPresent"
    """When nodes fetch the image."""
    image_pull_secrets: list[str] = Field(default_factory=list)
    """Secrets with the registry's credentials; they have to be in each cell's namespace."""
    stores: dict[str, list[Peer]] = Field(default_factory=dict)
    """Where ``postgres``, ``kafka``, ``milvus``, ``objects`` and a models' ``provider`` are; cells reach no more."""
    autoscaler_metrics: list[Literal["cpu", "memory", "requests"]] = ["cpu", "memory", "requests"]
    """What autoscalers of expanded cells look at: only what the cluster serves, or they never scale down. ``cpu`` and
    ``memory`` need a metrics-server, ``requests`` the metrics adapter. Empty: a fixed number of replicas."""
    dns: Peer = Field(default_factory=lambda: Peer(namespace="kube-system", labels={"k8s-app": "kube-dns"}, ports=[53]))
    """The cluster's DNS."""
