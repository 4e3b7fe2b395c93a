"""The configuration of a cell, with its credentials: a file in its pods, never an argument or a variable."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from voicehelper_operator.workloads.interface import WorkloadSpec
from voicehelper_operator.workloads.kubernetes import naming
from voicehelper_operator.workloads.kubernetes.components import GRPC, HTTP
from voicehelper_operator.workloads.kubernetes.manifests.types import Manifest, manifest

FOLDER, FILE = "/etc/voicehelper", "config.json"


def render(spec: WorkloadSpec) -> Manifest:
    """The Secret that a cell's pods mount."""
    config = {
        **spec.config,
        "http_host": "0.0.0.0",  # noqa: S104 (a pod's own address; NetworkPolicies say who gets in)
        "http_port": HTTP,
        "grpc_host": "0.0.0.0",  # noqa: S104
        "grpc_port": GRPC,
        "jwks_cache_file": "/tmp/jwks.json",  # noqa: S108 (the pod's own folder)
    }
    return secret(spec, naming.CREDENTIALS, config)


def secret(spec: WorkloadSpec, name: str, config: Mapping[str, Any]) -> Manifest:
    """A Secret with one file of settings."""
    text = json.dumps(config, sort_keys=True, default=str)
    data = {FILE: base64.b64encode(text.encode()).decode()}
    return manifest("v1", "Secret", spec, name, type="Opaque", data=data)


def checksum(secret: Manifest) -> str:
    """Changes with the content: pods are replaced, one by one, when it does."""
    return hashlib.sha256(json.dumps(secret["data"], sort_keys=True).encode()).hexdigest()[:16]
