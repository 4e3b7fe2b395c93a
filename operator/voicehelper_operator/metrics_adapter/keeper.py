"""The adapter's certificate, which nobody has to install: the APIService says whose signature is trusted."""

from __future__ import annotations

import base64

from voicehelper_core.certificates import CA_FILE, Pair
from voicehelper_core.kubernetes_api import Api, KubernetesSecretStore
from voicehelper_core.kubernetes_api.kinds import API_SERVICE

from voicehelper_operator.certificates import SharedCertificates
from voicehelper_operator.metrics_adapter.documents import GROUP, VERSION
from voicehelper_operator.metrics_adapter.settings import MetricsAdapterSettings

MANAGER = "voicehelper-metrics-adapter"
_SERVER, _API = "metrics-adapter", f"{VERSION}.{GROUP}"


class Keeper:
    """One a replica."""

    def __init__(self, api: Api, settings: MetricsAdapterSettings) -> None:
        self.api = api
        secrets = KubernetesSecretStore(api, settings.namespace, manager=MANAGER)
        hosts = [f"{settings.service}.{settings.namespace}.svc"]
        self._shared = SharedCertificates(secrets, settings.certificate_secret, _SERVER, hosts)

    async def current(self) -> Pair:
        """What to serve with, whose authority the API server has been told to trust. Raises AppError."""
        current = await self._shared.look()
        await self._publish(base64.b64encode(current.files(_SERVER)[CA_FILE].encode()).decode())
        return current.leaves[_SERVER]

    async def _publish(self, bundle: str) -> None:
        found = await self.api.get(API_SERVICE, _API)
        if found["spec"].get("caBundle") != bundle:
            await self.api.merge(API_SERVICE, _API, {"spec": {"caBundle": bundle}}, manager=MANAGER)
