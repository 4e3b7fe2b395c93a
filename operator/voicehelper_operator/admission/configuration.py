"""What the API server is told: ask this webhook about our kinds, and do nothing to them where it does not answer.

The object itself is the chart's, without webhooks, so that it goes with the chart: a webhook that is left behind would
block our kinds for ever. The operator fills it in, and never makes it. That is also the way out by hand: who deletes
the object has ended admission until the chart is installed or upgraded again.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable

from voicehelper_core import errors
from voicehelper_core.kubernetes_api import Api
from voicehelper_core.kubernetes_api.client import Object
from voicehelper_core.kubernetes_api.follow import Selection, follow
from voicehelper_core.kubernetes_api.kinds import WEBHOOK_CONFIGURATION
from voicehelper_core.log import get_logger
from voicehelper_crds import GROUP, KINDS, VERSION

from voicehelper_operator.admission import metrics
from voicehelper_operator.admission.settings import WebhookSettings
from voicehelper_operator.workloads.kubernetes.naming import MANAGER

log = get_logger(__name__)
NAME, PATH = f"admission.{GROUP}", "/validate"
TIMEOUT_SECONDS = 5
_PAUSE_SECONDS = 2.0
"""Between two writes: two releases side by side would take turns until the old one has gone."""


def webhook(settings: WebhookSettings, namespace: str, operator: str, bundle: str) -> Object:
    """The only entry, with every default, so that it can be compared with what the API server has."""
    client: Object = {"caBundle": base64.b64encode(bundle.encode()).decode()}
    if settings.url:
        client["url"] = settings.url.rstrip("/") + PATH
    else:
        client["service"] = {"name": settings.service, "namespace": namespace, "path": PATH, "port": settings.port}
    return {
        "name": NAME,
        "admissionReviewVersions": ["v1"],
        "clientConfig": client,
        "failurePolicy": "Fail",
        "matchPolicy": "Equivalent",
        "sideEffects": "None",
        "timeoutSeconds": TIMEOUT_SECONDS,
        "namespaceSelector": {},
        "objectSelector": {},
        # The operator's own writes must not wait for the operator: the first replica of all could write nothing.
        "matchConditions": [
            {"name": "not-the-operator", "expression": f"request.userInfo.username != {json.dumps(operator)}"}
        ],
        "rules": [
            {
                "apiGroups": [GROUP],
                "apiVersions": [VERSION],
                "operations": ["CREATE", "UPDATE", "DELETE"],
                "resources": sorted(kind.plural for kind in KINDS.values()),
                "scope": "Cluster",
            }
        ],
    }


class ConfigurationKeeper:
    """Fills it in, and sets right what others make of it."""

    def __init__(
        self, api: Api, name: str, wanted: Callable[[], Object], refresh: Callable[[], Awaitable[None]]
    ) -> None:
        self._api, self._name, self._wanted, self._refresh = api, name, wanted, refresh
        self._found: Object | None = None
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """What is wanted has changed."""
        self._wake.set()

    async def keep(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._repair())

    async def _follow(self) -> None:
        told = False
        async for delta in follow(self._api, Selection(WEBHOOK_CONFIGURATION, fields=f"metadata.name={self._name}")):
            if delta.type != "synced":
                self._found = delta.object if delta.type == "applied" else None
            elif self._found is None and not told:
                log.warning("nobody is asked: there is no ValidatingWebhookConfiguration", name=self._name)
                told = True
            metrics.CONFIGURED.set(self._found is not None)
            self.wake()

    async def _repair(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                if await self._differs():
                    await self._write()
                    await asyncio.sleep(_PAUSE_SECONDS)
            except errors.AppError as error:
                log.warning("the webhook configuration cannot be written", name=self._name, error=error.detail[:300])
                await asyncio.sleep(_PAUSE_SECONDS)
                self.wake()

    async def _differs(self) -> bool:
        """Another replica may have renewed the certificates: what it wrote is not to be taken back."""
        if self._found is None or self._found.get("webhooks") == [self._wanted()]:
            return False
        await self._refresh()
        return self._found is not None and self._found.get("webhooks") != [self._wanted()]

    async def _write(self) -> None:
        """As a whole. By server-side apply, what others have added would stay: a condition that nothing meets, say."""
        change = {"webhooks": [self._wanted()]}
        try:
            self._found = await self._api.merge(WEBHOOK_CONFIGURATION, self._name, change, manager=MANAGER)
        except errors.NotFound:  # the watch will tell
            return
        metrics.WRITES.inc()
        log.info("the webhook configuration was written", name=self._name)
