"""Keeps the certificate where all replicas and the API server find it."""

from __future__ import annotations

from datetime import UTC, datetime

from voicehelper_core import errors
from voicehelper_core.certificates import Pair
from voicehelper_core.kubernetes_api import Api
from voicehelper_core.kubernetes_api.kinds import API_SERVICE, SECRET
from voicehelper_core.log import get_logger

from voicehelper_operator.metrics_adapter import certificate
from voicehelper_operator.metrics_adapter.documents import GROUP, VERSION
from voicehelper_operator.metrics_adapter.settings import MetricsAdapterSettings

log = get_logger(__name__)
MANAGER = "voicehelper-metrics-adapter"
_SERVICE = f"{VERSION}.{GROUP}"
_TRIES = 5


class Keeper:
    """One a replica; whichever is first renews."""

    def __init__(self, api: Api, settings: MetricsAdapterSettings) -> None:
        self.api, self._namespace, self._name = api, settings.namespace, settings.certificate_secret
        self._host = f"{settings.service}.{settings.namespace}.svc"

    async def current(self) -> Pair:
        """What to serve with, which the API server has been told to trust. Raises AppError."""
        now = datetime.now(UTC)
        pairs = await self._agreed(now)
        await self._publish(certificate.bundle(pairs))
        return certificate.serving(pairs, now)

    async def _agreed(self, now: datetime) -> tuple[Pair, ...]:
        for _ in range(_TRIES):
            found = await self.api.get(SECRET, self._name, self._namespace)
            present = certificate.of_secret(found.get("data") or {})
            wanted = certificate.renewed(present, self._host, now)
            if wanted == present:
                return present
            try:
                await self.api.replace({**found, "data": certificate.to_secret(wanted)}, manager=MANAGER)
            except errors.Conflict:
                continue  # another replica was quicker
            log.info("a certificate was made", host=self._host)
            return wanted
        raise errors.Unavailable(f"Secret {self._namespace}/{self._name} does not stay as it was written")

    async def _publish(self, bundle: str) -> None:
        found = await self.api.get(API_SERVICE, _SERVICE)
        if found["spec"].get("caBundle") != bundle:
            await self.api.merge(API_SERVICE, _SERVICE, {"spec": {"caBundle": bundle}}, manager=MANAGER)
