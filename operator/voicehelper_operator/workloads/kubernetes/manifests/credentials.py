"""The settings of a cell, with its credentials: files in its pods, never arguments or variables."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from voicehelper_core.certificates import CA_FILE, CERTIFICATE_FILE, KEY_FILE

from voicehelper_operator.workloads.interface import WorkloadSpec
from voicehelper_operator.workloads.kubernetes import naming
from voicehelper_operator.workloads.kubernetes.components import GRPC, HTTP, PROBE, Component, running
from voicehelper_operator.workloads.kubernetes.manifests.types import Manifest, manifest

FOLDER, FILE = "/etc/voicehelper", "config.json"
_CERTIFICATES = {"tls_ca_file": CA_FILE, "tls_certificate_file": CERTIFICATE_FILE, "tls_key_file": KEY_FILE}


def render(spec: WorkloadSpec) -> Manifest:
    """The Secret that a cell's pods mount, each its own files of it."""
    files: dict[str, str] = {}
    for component, told in running(spec):
        files[component.file] = json.dumps(_config(told, component), sort_keys=True, default=str)
        if component.service:
            given = spec.services[component.service].files
            files |= {f"{component.service}.{name}": text for name, text in given.items()}
    return secret(spec, naming.CREDENTIALS, files)


def _config(spec: WorkloadSpec, component: Component) -> dict[str, Any]:
    config = {
        # A pod's own address: NetworkPolicies say who gets in.
        "http_host": "0.0.0.0",  # noqa: S104
        "http_port": HTTP,
        "grpc_host": "0.0.0.0",  # noqa: S104
        "grpc_port": GRPC,
        "jwks_cache_file": "/tmp/jwks.json",  # noqa: S108 (the pod's own folder)
        "alone": False,  # a pod is replaced while it runs
    }
    if not component.service:
        return {**spec.config, **config}
    namespace = naming.namespace(spec.cell_id)
    return {
        **spec.services[component.service].config,
        **config,
        "probe_port": PROBE,
        "services": {name.replace("-", "_"): f"{name}.{namespace}.svc:{GRPC}" for name in sorted(component.callees)},
        **{setting: f"{FOLDER}/{name}" for setting, name in _CERTIFICATES.items()},
    }


def items(component: Component) -> list[dict[str, str]]:
    """What of the Secret a component's pods see, and under which names."""
    found = [{"key": component.file, "path": FILE}]
    if component.service:
        found += [{"key": f"{component.service}.{name}", "path": name} for name in _CERTIFICATES.values()]
    return found


def secret(spec: WorkloadSpec, name: str, files: Mapping[str, str]) -> Manifest:
    """A Secret of files."""
    data = {key: base64.b64encode(text.encode()).decode() for key, text in files.items()}
    return manifest("v1", "Secret", spec, name, type="Opaque", data=data)


def checksum(secret: Manifest, component: Component) -> str:
    """Changes with a component's settings: its pods are replaced, one by one, when it does.

    Not with its certificates, which it reads again by itself.
    """
    return hashlib.sha256(secret["data"][component.file].encode()).hexdigest()[:16]
