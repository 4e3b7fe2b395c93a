"""The namespace of a cell and the account that its pods have."""

from __future__ import annotations

from typing import Any

from voicehelper_operator.workloads.interface import WorkloadSpec
from voicehelper_operator.workloads.kubernetes import naming
from voicehelper_operator.workloads.kubernetes.manifests.types import Manifest, manifest
from voicehelper_operator.workloads.kubernetes.settings import KubernetesSettings


def namespace(spec: WorkloadSpec) -> Manifest:
    """Without an owner: the accidental end of a Cell or of its CRD stops nobody's cell."""
    labels = naming.labels(spec.cell_id, spec.cell)
    for mode in ("enforce", "audit", "warn"):
        labels[f"pod-security.kubernetes.io/{mode}"] = "restricted"
    metadata = {"name": naming.namespace(spec.cell_id), "labels": labels}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def account(spec: WorkloadSpec, settings: KubernetesSettings) -> Manifest:
    """It may do nothing, and its token is not even mounted."""
    content: dict[str, Any] = {"automountServiceAccountToken": False}
    if settings.image_pull_secrets:
        content["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    return manifest("v1", "ServiceAccount", spec, naming.ACCOUNT, **content)
