"""The router's control plane."""

from __future__ import annotations

from voicehelper_embedded.components.base import BaseComponent
from voicehelper_embedded.supervisor.process import Launch


class Xds(BaseComponent):
    """Goes on serving the last routes when Postgres or identity are away."""

    name = "xds"
    requires: tuple[str, ...] = ("postgres",)
    port_name = "xds-http"

    async def prepare(self) -> Launch:
        data = self.context.own_data(self.name)
        config = {
            "postgres_dsn": self.context.dsn("resources_reader"),
            "xds_port": self.context.ports["xds"],
            "http_port": self.context.ports["xds-http"],
            "snapshot_file": data / "snapshot.json",
            "jwks_file": data / "jwks.json",
            "jwks_source_url": self.context.url("api") + "/.well-known/jwks.json",
        }
        return self.context.python("voicehelper_router", "serve", config=config, name=self.name)
