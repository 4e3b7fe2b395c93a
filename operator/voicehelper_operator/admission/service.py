"""Runs admission in the operator's process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from urllib.parse import urlsplit

import kopf
from voicehelper_core.certificates import Lifetimes
from voicehelper_core.errors import AppError
from voicehelper_core.kubernetes_api import Api, KubernetesResourceStore, KubernetesSecretStore
from voicehelper_core.kubernetes_api.client import Object
from voicehelper_core.log import get_logger

from voicehelper_operator.admission.configuration import ConfigurationKeeper, webhook
from voicehelper_operator.admission.handlers import NoMemories, Reviewer, registry, settings
from voicehelper_operator.admission.keeper import CertificateKeeper
from voicehelper_operator.admission.request import Trust
from voicehelper_operator.admission.server import AdmissionServer
from voicehelper_operator.admission.settings import WebhookSettings
from voicehelper_operator.workloads.kubernetes.naming import MANAGER

log = get_logger(__name__)
_RETRY_SECONDS = 1.0


class Admission:
    """Certificates, configuration and kopf. ``store`` is the one whose watch the operator runs."""

    def __init__(
        self,
        api: Api,
        store: KubernetesResourceStore,
        wanted: WebhookSettings,
        namespace: str,
        *,
        lifetimes: Lifetimes | None = None,
    ) -> None:
        self._api, self._store, self._settings, self._namespace = api, store, wanted, namespace
        secrets = KubernetesSecretStore(api, namespace, manager=MANAGER)
        self._certificates = CertificateKeeper(
            secrets, wanted.secret, _hosts(wanted, namespace), lifetimes=lifetimes, changed=self._renewed
        )
        self._server = AdmissionServer(wanted.host, wanted.port, self._certificates.context)
        self._configuration: ConfigurationKeeper | None = None

    @property
    def listening(self) -> bool:
        """Whether questions are answered."""
        return self._server.listening.is_set()

    async def run(self, signals: Callable[[], None]) -> None:
        """Until cancelled. ``signals`` is called when kopf has taken the signals, to take them back."""
        while not self._store.synced:  # noqa: ASYNC110 (a wait of seconds; without CRDs kopf would find nothing either)
            await asyncio.sleep(0.1)
        operator = await self._beginning()

        def entry() -> Object:
            return webhook(self._settings, self._namespace, operator, self._certificates.bundle)

        self._configuration = ConfigurationKeeper(
            self._api, self._settings.configuration, entry, self._certificates.look
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(self._answer(operator, signals), name="admission")
            await self._server.listening.wait()
            group.create_task(self._certificates.keep(self._settings.look_seconds), name="admission-certificates")
            group.create_task(self._configuration.keep(), name="admission-configuration")

    async def _beginning(self) -> str:
        """With certificates there, the operator's own user."""
        while True:
            try:
                await self._certificates.look()
                return await self._api.whoami()
            except AppError as error:
                log.warning("admission cannot begin", error=error.detail[:300])
                await asyncio.sleep(_RETRY_SECONDS)

    async def _answer(self, operator: str, signals: Callable[[], None]) -> None:
        """kopf's tasks, and theirs only: its own way to run them would end all tasks of the process with it."""
        for name, level in (("kopf", logging.WARNING), ("kopf.objects", logging.CRITICAL)):
            logging.getLogger(name).setLevel(level)  # a refusal is no error; handlers.py logs it
        identity = f"system:serviceaccount:{self._namespace}:identity"
        trust = Trust(operator, identity, frozenset(self._settings.administrators))
        reviewer = Reviewer(self._store, KubernetesResourceStore(self._api, manager=MANAGER), trust)
        tasks = await kopf.spawn_tasks(
            registry=registry(reviewer, self._api),
            settings=settings(self._server),
            memories=NoMemories.for_kopf(),
            clusterwide=True,
            standalone=True,
        )
        signals()
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            raise RuntimeError("kopf ended by itself")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _renewed(self) -> None:
        if self._configuration is not None:
            self._configuration.wake()


def _hosts(wanted: WebhookSettings, namespace: str) -> list[str]:
    """Names that the API server expects in the certificate."""
    if wanted.url:
        return [urlsplit(wanted.url).hostname or ""]
    return [f"{wanted.service}.{namespace}.svc"]
