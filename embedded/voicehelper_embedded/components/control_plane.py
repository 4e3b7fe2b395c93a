"""Identity and the reconcilers in one process."""

from __future__ import annotations

from dataclasses import replace

from voicehelper_embedded.components.base import BaseComponent
from voicehelper_embedded.context import DATABASE, HOST
from voicehelper_embedded.supervisor.process import Launch


class ControlPlane(BaseComponent):
    """Needs only Postgres to start; a store that is away shows in the conditions of cells."""

    name = "control-plane"
    requires: tuple[str, ...] = ("postgres",)
    port_name = "api"

    async def prepare(self) -> Launch:
        context = self.context
        context.own_data(self.name)
        await self.migrate("voicehelper_control_plane", "control_plane")
        secrets, ports = context.secrets, context.ports
        jwks = context.url("api") + "/.well-known/jwks.json"
        config = {
            "identity": {
                "postgres_dsn": context.dsn("control_plane"),
                "http_port": ports["api"],
                "grpc_port": ports["identity-grpc"],
                "signing_key_file": context.home.secrets / "signing-key.json",
                "provisioning_key": secrets["provisioning_key"],
                "platform_admin_email": secrets["platform_admin_email"],
                "platform_admin_password": secrets["platform_admin_password"],
                "public_url": context.url("router"),
                "operator_url": context.url("operator-http"),
            },
            "operator": {
                "postgres_admin_dsn": context.dsn("postgres"),
                "postgres_host": HOST,
                "postgres_port": ports["postgres"],
                "postgres_database": DATABASE,
                "kafka_bootstrap": context.at("kafka"),
                "kafka_admin_user": "admin",
                "kafka_admin_password": secrets["kafka_admin_password"],
                "milvus_uri": context.url("milvus"),
                "objects_root": str(context.home.objects),
                "archive_root": str(context.own_data("archives")),
                "identity_address": context.at("identity-grpc"),
                "provisioning_key": secrets["provisioning_key"],
                "router_url": context.url("router"),
                "routers_url": context.url("xds-http"),
                "inference_address": context.at("inference-grpc"),
                "analytics_address": context.at("analytics-grpc"),
                "jwks_url": jwks,
                "supervisor_socket": context.home.socket,
                "release": context.release.id,
                # The supervisor starts it when the one before is dead, so its lease need not run out.
                "holder": "supervised",
                "cell_settings": context.overrides("cells"),
            },
            "secrets_folder": context.home.secrets,
            "operator_port": ports["operator-http"],
        }
        launch = context.python("voicehelper_embedded.processes.control_plane", config=config, name=self.name)
        return replace(launch, umask=0o007)  # cells share the folders of objects that the operator makes for them
