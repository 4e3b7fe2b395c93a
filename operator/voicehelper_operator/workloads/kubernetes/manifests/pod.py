"""Pods of a cell: no rights, no root, nothing to write on but a folder of their own."""

from __future__ import annotations

from typing import Any

from voicehelper_operator.workloads.interface import WorkloadSpec
from voicehelper_operator.workloads.kubernetes import naming
from voicehelper_operator.workloads.kubernetes.manifests import bounds
from voicehelper_operator.workloads.kubernetes.manifests.credentials import FILE, FOLDER
from voicehelper_operator.workloads.kubernetes.settings import KubernetesSettings

USER = 65532
_SCRATCH = "256Mi"


def image(spec: WorkloadSpec, settings: KubernetesSettings) -> str:
    """Of the release."""
    return f"{settings.image_repository}{'@' if spec.release.startswith('sha256:') else ':'}{spec.release}"


def template(
    spec: WorkloadSpec, settings: KubernetesSettings, *, secret: str, items: list[dict[str, str]],
    container: dict[str, Any], labels: dict[str, str], annotations: dict[str, str] | None = None, **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """A pod template around one container."""
    content: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "serviceAccountName": naming.ACCOUNT,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "image": image(spec, settings),
                "imagePullPolicy": settings.image_pull_policy,
                "env": [{"name": "VOICEHELPER_CONFIG", "value": f"{FOLDER}/{FILE}"}],
                "resources": bounds.resources(spec.size),
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": True,
                },
                "volumeMounts": [
                    {"name": "config", "mountPath": FOLDER, "readOnly": True},
                    {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108
                ],
                **container,
            }
        ],
        "volumes": [
            {"name": "config", "secret": {"secretName": secret, "defaultMode": 0o440, "items": items}},
            {"name": "scratch", "emptyDir": {"sizeLimit": _SCRATCH}},
        ],
        **more,
    }
    if spec.size.priority_class:
        content["priorityClassName"] = spec.size.priority_class
    metadata: dict[str, Any] = {"labels": labels}
    if annotations:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": content}
