"""Shapes that all manifests share."""

from __future__ import annotations

from typing import Any

from voicehelper_operator.workloads.interface import WorkloadSpec
from voicehelper_operator.workloads.kubernetes import naming

Manifest = dict[str, Any]


def manifest(
    api_version: str, kind: str, workload: WorkloadSpec, name: str, component: str = "", /, **content: Any
) -> Manifest:
    """An object in the cell's namespace; ``content`` is what it has besides its metadata."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": naming.namespace(workload.cell_id),
            "labels": naming.labels(workload.cell_id, workload.cell, component),
        },
        **content,
    }
