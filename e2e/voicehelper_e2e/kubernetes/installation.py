"""The platform, installed by its charts into the cluster at hand."""

from __future__ import annotations

import base64
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from voicehelper_cli.failures import Failure
from voicehelper_core.names import PUBLIC_TENANT
from voicehelper_crds import KINDS

from voicehelper_e2e.charts import tools
from voicehelper_e2e.cluster.at_hand import AtHand
from voicehelper_e2e.cluster.commands import run
from voicehelper_e2e.cluster.home import NODE_ADDRESS
from voicehelper_e2e.cluster.project_image import ROOT
from voicehelper_e2e.kubernetes.stores import Stores

NAMESPACE = "voicehelper-prod"
_NODE_PORT = 30080
_WAIT = "300s"
_ADMITTED_SECONDS = 30
_LITTLE = {"resources": {"requests": {"cpu": "10m"}}}
"""Room for cells on a node of two cores."""


@dataclass
class Installation:
    """A release of the charts. ``kubectl`` speaks as the cluster's administrator."""

    cluster: AtHand
    stores: Stores
    values: dict[str, Any] = field(default_factory=dict)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def router(self) -> str:
        """URL of the router."""
        return f"http://{NODE_ADDRESS}:{_NODE_PORT}"

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """Its output. Raises Failure."""
        return self.cluster.kubectl(*arguments, given=given)

    def get(self, kind: str, name: str, namespace: str = "") -> dict[str, Any]:
        """One object. Raises Failure."""
        where = ("-n", namespace) if namespace else ()
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, *where, "-o", "json"))
        return found

    def install(self, say: Callable[[str], None]) -> None:
        """Install or upgrade both charts, until every part is ready. Raises Failure."""
        for namespace in (NAMESPACE, "voicehelper-monitoring"):
            self.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        self.cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "voicehelper", "namespace": NAMESPACE},
                "stringData": self.stores.secret(),
            }
        )
        self._helm(say, "upgrade", "--install", "voicehelper-crds", str(ROOT / "charts/voicehelper-crds"))
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(self._all_values(), file)
            file.flush()
            chart = ROOT / "charts/voicehelper"
            self._helm(
                say, "upgrade", "--install", "voicehelper", str(chart), "--values", str(chart / "values-small.yaml"),
                "--values", file.name, "--wait", "--timeout", _WAIT,
            )  # fmt: skip
        self._until_admitted()

    def _until_admitted(self) -> None:
        """Who is ready is reached through its Service a moment later. Raises Failure."""
        end = time.monotonic() + _ADMITTED_SECONDS
        while True:
            try:
                self.kubectl(
                    "apply", "--server-side", "--dry-run=server", "-f", str(ROOT / "examples/cell-shared.yaml")
                )
                return
            except Failure:
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)

    def remove(self) -> None:
        """Tenants and cells with their data, the releases, and what a chart leaves on purpose."""
        kinds = "tenants,cells,tenantplans,cellclasses"
        listed = self.kubectl("get", kinds, "-o", "name", "--ignore-not-found").split()
        for name in (item for item in listed if item.startswith(("tenant.", "cell."))):
            self.kubectl(
                "patch", name, "--type=merge", "-p", '{"spec":{"deletion":{"policy":"Delete","protect":false}}}'
            )
        for kind in kinds.split(","):
            self.kubectl("delete", kind, "--all", "--timeout=180s")
        self.uninstall()
        self.kubectl(
            "delete", "crd", "--ignore-not-found", *(f"{kind.plural}.voicehelper.io" for kind in KINDS.values())
        )
        self.kubectl("delete", "namespace", NAMESPACE, "voicehelper-monitoring", "--timeout=120s")

    def uninstall(self) -> None:
        """Both releases; resources stay."""
        for release in ("voicehelper", "voicehelper-crds"):
            self._helm(lambda _: None, "uninstall", release, "--ignore-not-found", "--wait")

    def client(self, tenant: str, token: str) -> httpx.Client:
        """Speaks through the router for whoever has the token."""
        headers = {"X-Tenant-ID": tenant, "Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.router, headers=headers, timeout=60, trust_env=False)

    def login(self, tenant: str) -> str:
        """A token of the tenant's admin."""
        status = self.get("tenant", tenant)["status"]
        secret = self.get("secret", f"tenant-{status['tenantId']}-admin", NAMESPACE)["data"]
        return self._token(tenant, *(_plain(secret[key]) for key in ("email", "password")))

    def platform(self) -> httpx.Client:
        """Speaks through the router for the platform's admin."""
        known = json.loads(_plain(self.get("secret", "voicehelper", NAMESPACE)["data"]["identity.json"]))
        token = self._token(PUBLIC_TENANT, known["platform_admin_email"], known["platform_admin_password"])
        return self.client(PUBLIC_TENANT, token)

    def _token(self, tenant: str, email: str, password: str) -> str:
        answer = httpx.post(
            f"{self.router}/api/v1/identity/login",
            headers={"X-Tenant-ID": tenant},
            json={"tenant": tenant, "email": email, "password": password},
            trust_env=False,
            timeout=30,
        )
        answer.raise_for_status()
        token: str = answer.json()["access_token"]
        return token

    def _all_values(self) -> dict[str, Any]:
        repository, _, tag = self.cluster.image.rpartition(":")
        own: dict[str, Any] = {
            "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
            "environment": "e2e",
            "publicUrl": self.router,
            "stores": self.stores.values(),
            "router": {"service": {"type": "NodePort", "nodePort": _NODE_PORT}, **_LITTLE, "xds": _LITTLE},
            **dict.fromkeys(("operator", "identity", "analytics", "inference", "metricsAdapter"), _LITTLE),
        }
        return _laid_over(own, self.values)

    def _helm(self, say: Callable[[str], None], *arguments: str) -> None:
        run(str(tools.helm(say)), *arguments, "--namespace", NAMESPACE, "--kubeconfig", str(self.cluster.kubeconfig))


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    return below | {
        key: _laid_over(below[key], value) if isinstance(value, dict) and isinstance(below.get(key), dict) else value
        for key, value in above.items()
    }


def _plain(value: str) -> str:
    return base64.b64decode(value).decode()
