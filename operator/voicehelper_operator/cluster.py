"""Assembles the operator's process on Kubernetes: the same reconcilers, the cluster's adapters, admission, health."""

from __future__ import annotations

import asyncio
import signal

from voicehelper_core.http import create_app, serve_http
from voicehelper_core.kubernetes_api import (
    KubernetesEventRecorder,
    KubernetesLease,
    KubernetesResourceStore,
    KubernetesSecretStore,
    connect,
)
from voicehelper_core.log import get_logger
from voicehelper_core.ports import SecretStore

from voicehelper_operator import app
from voicehelper_operator.admission.service import Admission
from voicehelper_operator.leadership import Leading
from voicehelper_operator.settings import ClusterOperatorSettings
from voicehelper_operator.workloads.interface import WorkloadRuntime
from voicehelper_operator.workloads.kubernetes.naming import MANAGER
from voicehelper_operator.workloads.kubernetes.runtime import KubernetesRuntime

log = get_logger(__name__)
_STOP_SECONDS = 10


async def serve(
    settings: ClusterOperatorSettings,
    *,
    runtime: WorkloadRuntime | None = None,
    around: app.Neighbours | None = None,
) -> None:
    """Run until SIGTERM or SIGINT; the lease is given back at the end.

    ``runtime`` and ``around`` are those of the settings unless given.
    """
    stop = asyncio.Event()

    def signals() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)

    signals()
    api = await connect(settings.kubeconfig)
    namespace = settings.kubernetes.namespace
    events = KubernetesEventRecorder(api, instance=settings.holder)
    leading = Leading()
    fenced = api.fenced(leading.check)
    store = KubernetesResourceStore(fenced, manager=MANAGER, cached=True)
    web = create_app("operator", version=settings.service_version)
    admission = Admission(api, store, settings.webhook, namespace) if settings.webhook.enabled else None

    async def ready() -> str | None:
        """Whoever waits for the lease is ready too: it would take over at once, and it answers the API server."""
        if not store.synced:
            return "the resources have not been listed yet"
        return "admission does not listen yet" if admission and not admission.listening else None

    web.state.ready = ready
    http = serve_http(web, settings.http_host, settings.http_port)

    async def reconciling() -> None:
        vault = None
        if settings.secrets == "vault":
            from voicehelper_operator import vault_store  # no other way needs its client

            vault = await vault_store.opened(settings, stop)
        secrets: SecretStore = vault.secrets if vault else KubernetesSecretStore(fenced, namespace, manager=MANAGER)
        try:
            await app.run(
                settings,
                store,
                secrets=secrets,
                events=events,
                lease=KubernetesLease(api, namespace),
                runtime=runtime or KubernetesRuntime(fenced, settings.kubernetes),
                stop=stop,
                web=web,
                more=vault.slices if vault else lambda _: (),
                around=around,
                leading=leading,
            )
        finally:
            if vault:
                await vault.close()

    tasks = [asyncio.create_task(http.serve(), name="http"), asyncio.create_task(reconciling(), name="operator")]
    answering = [asyncio.create_task(admission.run(signals), name="admission")] if admission else []
    tasks += answering
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    asked = stop.is_set()
    stop.set()
    http.should_exit = True
    for task in answering:
        task.cancel()
    await asyncio.wait(tasks, timeout=_STOP_SECONDS)
    await events.close()
    await api.close()
    for task in tasks:
        if task.done() and not task.cancelled() and (error := task.exception()):
            log.error("ended by itself", part=task.get_name(), exc_info=error)
    if not asked:
        raise SystemExit("the operator ended by itself")
