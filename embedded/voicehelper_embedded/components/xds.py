"""The router's control plane."""

from __future__ import annotations

from pathlib import Path

from voicehelper_embedded.components.base import BaseComponent
from voicehelper_embedded.context import Context
from voicehelper_embedded.supervisor.process import Launch


def socket(context: Context) -> Path:
    """Where Envoy gets its routes: a socket, since a port would tell every process of the machine all tenants."""
    return context.own_data("xds") / "xds.sock"


def admin_socket(context: Context) -> Path:
    """Where Envoy's statistics are: they name every tenant."""
    return context.home.data("router") / "admin.sock"


class Xds(BaseComponent):
    """Goes on serving the last routes when Postgres or identity are away."""

    name = "xds"
    requires: tuple[str, ...] = ("postgres",)
    port_name = "xds-http"

    async def prepare(self) -> Launch:
        data = self.context.own_data(self.name)
        config = {
            "postgres_dsn": self.context.dsn("resources_reader"),
            "xds_socket": socket(self.context),
            "admin_socket": admin_socket(self.context),
            "http_port": self.context.ports["xds-http"],
            "snapshot_file": data / "snapshot.json",
            "jwks_file": data / "jwks.json",
            "jwks_source_url": self.context.url("api") + "/.well-known/jwks.json",
        }
        return self.context.python("voicehelper_router", "serve", config=config, name=self.name)
