"""Assembles the operator's process on Kubernetes: the same reconcilers, the cluster's adapters, health and metrics."""

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

from voicehelper_operator import app
from voicehelper_operator.settings import ClusterOperatorSettings
from voicehelper_operator.workloads.kubernetes.naming import MANAGER
from voicehelper_operator.workloads.kubernetes.runtime import KubernetesRuntime

log = get_logger(__name__)
_STOP_SECONDS = 10


async def serve(settings: ClusterOperatorSettings) -> None:
    """Run until SIGTERM or SIGINT; the lease is given back at the end."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    api = await connect(settings.kubeconfig)
    namespace = settings.kubernetes.namespace
    store = KubernetesResourceStore(api, manager=MANAGER, cached=True)
    web = create_app("operator", version=settings.service_version)

    async def ready() -> str | None:
        """Whoever waits for the lease is ready too: it would take over at once."""
        return None if store.synced else "the resources have not been listed yet"

    web.state.ready = ready
    http = serve_http(web, settings.http_host, settings.http_port)
    reconciling = app.run(
        settings,
        store,
        secrets=KubernetesSecretStore(api, namespace, manager=MANAGER),
        events=KubernetesEventRecorder(api, instance=settings.holder),
        lease=KubernetesLease(api, namespace),
        runtime=KubernetesRuntime(api, settings.kubernetes),
        stop=stop,
        web=web,
    )
    tasks = [asyncio.create_task(http.serve(), name="http"), asyncio.create_task(reconciling, name="operator")]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    asked = stop.is_set()
    stop.set()
    http.should_exit = True
    await asyncio.wait(tasks, timeout=_STOP_SECONDS)
    await api.close()
    for task in tasks:
        if task.done() and (error := task.exception()):
            log.error("ended by itself", part=task.get_name(), exc_info=error)
    if not asked:
        raise SystemExit("the operator ended by itself")
