"""Who uses the installation: the tenants of the examples, and what their people do."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from voicehelper_crds import API_VERSION
from voicehelper_embedded.throwaway import tenant

from voicehelper_e2e.cluster.project_image import ROOT
from voicehelper_e2e.kubernetes.installation import Installation

TENANTS = ("acme", "globex")
_READY, _INDEXED_SECONDS = "180s", 90


@dataclass
class People:
    """Tenants and their admins, through the router."""

    installation: Installation
    _tokens: dict[str, str] = field(default_factory=dict)

    def arrive(self) -> None:
        """As a platform team does it: ``kubectl apply``, and wait."""
        kubectl = self.installation.kubectl
        for file in ("cell-shared", *(f"tenant-{name}" for name in TENANTS)):
            kubectl("apply", "--server-side", "-f", str(ROOT / "examples" / f"{file}.yaml"))
        kubectl("wait", *(f"tenant/{name}" for name in TENANTS), "--for=condition=Ready", f"--timeout={_READY}")
        for name in TENANTS:
            self._until_upgraded(name)

    def join(self, name: str, **spec: Any) -> None:
        """One more tenant, with a cell of its own unless its plan says otherwise; until it is ready. Raises Failure."""
        self.installation.cluster.apply(self.manifest(name, **spec))
        self.installation.kubectl("wait", f"tenant/{name}", "--for=condition=Ready", f"--timeout={_READY}")

    def manifest(self, name: str, *, plan: str = "enterprise", **spec: Any) -> dict[str, Any]:
        """Of a tenant of which nothing is left when it is deleted."""
        return tenant(name, plan, **spec)

    def patch(self, what: str, spec: dict[str, Any]) -> None:
        """Change the spec of something, such as ``cell/globex``. Raises Failure."""
        self.installation.kubectl("patch", what, "--type=merge", "-p", json.dumps({"spec": spec}))

    def leave(self, *names: str) -> None:
        """Tenants that are deleted, until they are gone. Raises Failure."""
        listed = [f"tenant/{name}" for name in names]
        self.installation.kubectl("delete", *listed, "--ignore-not-found", f"--timeout={_READY}")

    def _until_upgraded(self, tenant: str) -> None:
        """Cells of before an upgrade are taken along."""
        release = self.installation.cluster.image.rpartition(":")[2]
        if self.cell(tenant)["status"].get("release", release) != release:
            self.release(f"to-{release}", release, skip={"reason": "a new image", "actor": "tests"})
        until(lambda: self.cell(tenant)["status"].get("release") == release, f"{tenant}'s cell is upgraded")
        self.installation.kubectl(
            "rollout", "status", "deployment/cell", "-n", self.namespace(tenant), f"--timeout={_READY}"
        )

    def release(self, name: str, release: str, **spec: Any) -> None:
        """Take a release through the cells. Raises Failure."""
        manifest = {"apiVersion": API_VERSION, "kind": "CellRelease", "metadata": {"name": name}}
        self.installation.cluster.apply(manifest | {"spec": {"release": release, **spec}})

    def cell(self, tenant: str) -> dict[str, Any]:
        """The tenant's cell."""
        return self.installation.get("cell", self.installation.get("tenant", tenant)["status"]["cell"])

    def namespace(self, tenant: str) -> str:
        """Of the tenant's cell."""
        return f"cell-{self.installation.get('tenant', tenant)['status']['cellId']}"

    def client(self, tenant: str) -> httpx.Client:
        """Of the tenant's admin."""
        return self.installation.client(tenant, self.installation.login(tenant))

    def upload(self, client: httpx.Client, name: str, text: str) -> str:
        """Id of a document that is indexed. Raises AssertionError."""
        answer = client.post("/api/v1/knowledge/documents", files={"file": (name, text.encode(), "text/markdown")})
        assert answer.status_code in (201, 202), answer.text
        document = str(answer.json()["id"])

        def indexed() -> bool:
            state = client.get(f"/api/v1/knowledge/documents/{document}").json()
            assert state["status"] != "failed", state
            return bool(state["status"] == "indexed")

        until(indexed, "the document is indexed", _INDEXED_SECONDS)
        return document

    def ask(self, client: httpx.Client, question: str) -> dict[str, Any]:
        """The answer with its citations. Raises AssertionError."""
        made = client.post("/api/v1/conversations", json={"title": question[:80]})
        assert made.status_code == 201, made.text
        answer = client.post(f"/api/v1/conversations/{made.json()['id']}/messages", json={"content": question})
        assert answer.status_code in (200, 201), answer.text
        found: dict[str, Any] = answer.json()
        return found


def until(condition: Callable[[], bool], what: str, seconds: float = 60, pause: float = 0.5) -> float:
    """Seconds until it came true. Raises AssertionError when it does not."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not after {seconds} s: {what}"
        time.sleep(pause)
    return time.monotonic() - began
