"""Envoy, the data plane."""

from __future__ import annotations

import json
from pathlib import Path

from voicehelper_router import bootstrap, envoy
from voicehelper_router.settings import BootstrapSettings

from voicehelper_embedded import probes
from voicehelper_embedded.components import xds
from voicehelper_embedded.components.base import BaseComponent
from voicehelper_embedded.context import HOST
from voicehelper_embedded.supervisor.process import Launch


class Router(BaseComponent):
    """Its listener opens once the control plane has sent routes and keys."""

    name = "router"
    requires: tuple[str, ...] = ("xds",)
    port_name = "router"
    start_seconds = 120.0

    @property
    def _admin(self) -> Path:
        return xds.admin_socket(self.context)

    async def prepare(self) -> Launch:
        data = self.context.own_data(self.name)
        ports = self.context.ports
        settings = BootstrapSettings(
            listen_port=ports["router"],
            admin_socket=self._admin,
            xds_socket=xds.socket(self.context),
            jwks_port=ports["xds-http"],
            identity_port=ports["api"],
        )
        text = json.dumps(bootstrap.render(settings))
        path = self.context.write("envoy.json", text)
        base_id = int(self.context.home.tag, 16) % 30_000 + 1
        return Launch(
            argv=envoy.command(path, base_id=base_id),
            environment={"PATH": "/usr/bin:/bin", "HOME": str(data), "TMPDIR": str(self.context.own(data / "tmp"))},
            user=self.context.home.user,
            folder=data,
            files={"bootstrap": text},
        )

    async def probe(self) -> str | None:
        status, body = await probes.get_from_socket(self._admin, "/ready")
        if status != 200:
            return f"waits for routes and keys ({body.strip().lower()})"
        status, _ = await probes.get(HOST, self.port, "/healthz")
        return None if status == 200 else f"/healthz answers {status}"
