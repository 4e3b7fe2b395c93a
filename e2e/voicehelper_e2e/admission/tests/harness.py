"""An API server with what the chart makes for admission, and replicas of an operator's admission for it."""

from __future__ import annotations

import asyncio
import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from voicehelper_cli.failures import Failure
from voicehelper_core import errors, kubernetes_api
from voicehelper_core.kubernetes_api.kinds import OURS, WEBHOOK_CONFIGURATION
from voicehelper_e2e.charts import render
from voicehelper_e2e.cluster.alone import ApiServer, remove_resources
from voicehelper_operator.admission.service import Admission
from voicehelper_operator.admission.settings import WebhookSettings
from voicehelper_router.tests.harness import free_port

CONFIGURATION, ACCOUNT = "voicehelper-operator", f"system:serviceaccount:{render.NAMESPACE}:operator"
_KINDS = {
    "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ValidatingWebhookConfiguration",
    "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
}  # fmt: skip
PEOPLE = {
    "tenant-users": [{"apiGroups": ["voicehelper.io"], "resources": ["tenants", "cells"], "verbs": ["*"]}],
    "plan-keepers": [{"apiGroups": ["voicehelper.io"], "resources": ["tenantplans", "cellclasses"], "verbs": ["*"]}],
    "namespace-editors": [
        {
            "apiGroups": [""],
            "resources": ["namespaces", "namespaces/status", "namespaces/finalize", "configmaps"],
            "verbs": ["*"],
        }
    ],
}
"""Groups, and what a role lets them do."""


def _role(name: str, rules: list[Any]) -> list[dict[str, Any]]:
    """For the group of that name."""
    group, meta = "rbac.authorization.k8s.io", {"name": name}
    reference = {"apiGroup": group, "kind": "ClusterRole", "name": name}
    subject = {"apiGroup": group, "kind": "Group", "name": name}
    return [
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": meta, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": meta,
            "roleRef": reference,
            "subjects": [subject],
        },
    ]


@dataclass(frozen=True)
class Cluster:
    """What tests do to it, as whom."""

    server: ApiServer
    folder: Path

    def install(self) -> None:
        """The accounts, roles, policies and the empty webhook configuration of the chart, and roles of people."""
        self.server.kubectl("create", "namespace", render.NAMESPACE)
        found = render.objects(render.template(render.PLATFORM, *render.arguments("small")))
        texts = [yaml.safe_dump(item) for item in found if item["kind"] in _KINDS]
        texts += [json.dumps(item) for name, rules in PEOPLE.items() for item in _role(name, rules)]
        file = self.folder / "chart.yaml"
        file.write_text("\n---\n".join(texts))
        self.server.kubectl("apply", "--server-side", "-f", str(file))

    def kubectl(self, *arguments: str, manifest: Any = None, user: str = "", group: str = "") -> str:
        """Its output, or what it says when something is refused."""
        whom = [f"--as={user}", "--as-group=system:authenticated"] if user else []
        whom += [f"--as-group={group}"] if group else []
        if manifest is not None:
            file = self.folder / f"{id(manifest)}.json"
            file.write_text(json.dumps(manifest))
            arguments = (*arguments, "-f", str(file))
        try:
            return self.server.kubectl(*whom, *arguments).strip()
        except Failure as failure:
            return str(failure)

    async def run(self, *arguments: str, **how: Any) -> str:
        """``kubectl`` while the operator of this process goes on."""
        return await asyncio.to_thread(self.kubectl, *arguments, **how)

    async def apply(self, manifest: Any, **who: str) -> str:
        return await self.run("apply", manifest=manifest, **who)

    def account_kubeconfig(self) -> Path:
        """The operator's own account."""
        file = self.folder / "operator.kubeconfig"
        if not file.exists():
            token = self.server.kubectl("-n", render.NAMESPACE, "create", "token", "operator").strip()
            file.write_text(self.server.kubectl("config", "view", "--raw", "--flatten", "--minify"))
            for change in (
                ("set-credentials", "operator", f"--token={token}"),
                ("set-context", "--current", "--user=operator"),
            ):
                self.server.kubectl("config", f"--kubeconfig={file}", *change)
        return file

    def audit(self) -> list[dict[str, Any]]:
        """Requests of service accounts so far."""
        file = self.server.kubeconfig.parent / "logs" / "audit.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()]


class Operator:
    """One replica: the watch and admission, with the chart's rights."""

    def __init__(self, cluster: Cluster, *, asked_at: int = 0, lifetimes: Any = None, **options: Any) -> None:
        self.port = free_port()
        url = f"https://127.0.0.1:{asked_at or self.port}"
        self.settings = WebhookSettings(host="127.0.0.1", port=self.port, url=url, **options)
        self._cluster, self._lifetimes = cluster, lifetimes
        self._tasks: list[asyncio.Task[Any]] = []

    async def start(self) -> Operator:
        self._api = await kubernetes_api.connect(self._cluster.account_kubeconfig())
        self.store = kubernetes_api.KubernetesResourceStore(self._api, manager="voicehelper-operator", cached=True)
        self.admission = Admission(self._api, self.store, self.settings, render.NAMESPACE, lifetimes=self._lifetimes)
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self.admission.run(_signals))]
        async with asyncio.timeout(30):
            while not self.admission.listening:
                for task in self._tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.02)
        return self

    async def _watch(self) -> None:
        async for _ in self.store.watch():
            pass

    async def end(self) -> None:
        """Can be called twice."""
        if not self._tasks:
            return
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._api.close()
        assert all(isinstance(result, asyncio.CancelledError) for result in results), results


def _signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().remove_signal_handler(number)


async def reset(api: kubernetes_api.Api) -> None:
    """Nobody is asked, and none of our resources is there."""
    await api.merge(WEBHOOK_CONFIGURATION, CONFIGURATION, {"webhooks": []}, manager="test")
    await asyncio.sleep(0.3)  # the API server's watch
    await remove_resources(api)


async def until_asked(api: kubernetes_api.Api, operator: Operator) -> None:
    """Until the API server asks: a tenant without a plan is refused then."""
    async with asyncio.timeout(20):
        while True:
            try:
                await api.create(tenant("probe", planRef="none-such"), manager="test")
            except errors.InvalidArgument:
                return
            except errors.AppError:
                pass
            else:
                await api.delete(OURS["Tenant"], "probe")
            await asyncio.sleep(0.1)


def manifest(kind: str, name: str, spec: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    meta = {"name": name, **metadata}
    return {"apiVersion": "voicehelper.io/v1alpha1", "kind": kind, "metadata": meta, "spec": spec or {}}


def tenant(name: str = "acme", metadata: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return manifest("Tenant", name, {"planRef": "team", "admin": {"email": "a@b.example"}, **spec}, **metadata or {})
