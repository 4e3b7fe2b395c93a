"""``python -m voicehelper_e2e.admission.watcher kopf|follow KUBECONFIG COUNT``: a watch of Tenants, and what it hears.

One JSON object a line: ``{"type", "name"}``, and after COUNT objects ``{"cpu_seconds", "rss_mib"}`` of hearing of them.
Here to compare the two ways (ADR 20); the product follows.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from voicehelper_core import log
from voicehelper_core.kubernetes_api import Api, connect
from voicehelper_core.kubernetes_api.follow import Selection, follow
from voicehelper_core.kubernetes_api.kinds import OURS
from voicehelper_crds import GROUP, VERSION


class Teller:
    """Prints, and measures from its making to the last of the first objects."""

    def __init__(self, count: int) -> None:
        self._missing, self._process, self._began = count, psutil.Process(), _cpu()

    def tell(self, type_: str, name: str) -> None:
        """One change."""
        print(json.dumps({"type": type_, "name": name}), flush=True)
        self._missing -= 1
        if self._missing == 0:
            used = {"cpu_seconds": _cpu() - self._began, "rss_mib": self._process.memory_info().rss / 2**20}
            print(json.dumps(used), flush=True)


def _cpu() -> float:
    times = psutil.Process().cpu_times()
    return float(times.user + times.system)


async def _follow(api: Api, tell: Callable[[str, str], None]) -> None:
    async for delta in follow(api, Selection(OURS["Tenant"])):
        if delta.type != "synced":
            tell(delta.type, delta.object["metadata"]["name"])


async def _kopf(api: Api, tell: Callable[[str, str], None]) -> None:
    import kopf

    where = await api.endpoint()
    registry, settings = kopf.OperatorRegistry(), kopf.OperatorSettings()
    settings.scanning.disabled, settings.posting.enabled, settings.peering.standalone = True, False, True

    async def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(
            server=where.server, ca_path=where.ca, certificate_path=where.certificate, private_key_path=where.key
        )

    async def heard(type: str | None, name: str, **_: Any) -> None:
        tell("deleted" if type == "DELETED" else "applied", name)

    kopf.on.login(registry=registry)(login)
    kopf.on.event(GROUP, VERSION, "tenants", registry=registry)(heard)
    await kopf.operator(registry=registry, settings=settings, clusterwide=True, standalone=True)


async def main(way: str, kubeconfig: str, count: str) -> None:
    """For ever."""
    log.setup("watcher")  # to the standard error
    api = await connect(Path(kubeconfig))
    if way == "kopf":
        import kopf  # noqa: F401 (before the measurement, as the other way's client)
    await {"kopf": _kopf, "follow": _follow}[way](api, Teller(int(count)).tell)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
