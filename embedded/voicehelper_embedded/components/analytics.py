"""The sink, ClickHouse (chDB) and the usage API."""

from __future__ import annotations

from voicehelper_embedded.components.base import BaseComponent
from voicehelper_embedded.supervisor.process import Launch


class Analytics(BaseComponent):
    """The only owner of the embedded ClickHouse."""

    name = "analytics"
    requires: tuple[str, ...] = ("postgres", "kafka")
    port_name = "analytics-http"

    async def prepare(self) -> Launch:
        data = self.context.own_data(self.name)
        await self.migrate("voicehelper_analytics", "analytics")
        config = {
            "postgres_dsn": self.context.dsn("analytics"),
            "kafka_bootstrap": self.context.at("kafka"),
            "kafka_user": "analytics",
            "kafka_password": self.context.secrets["kafka_analytics_password"],
            "clickhouse_path": data / "clickhouse",
            "http_port": self.context.ports["analytics-http"],
            "grpc_port": self.context.ports["analytics-grpc"],
            "jwks_url": self.context.url("api") + "/.well-known/jwks.json",
            "jwks_cache_file": data / "jwks.json",
        }
        return self.context.python("voicehelper_analytics", "serve", config=config, name=self.name)
