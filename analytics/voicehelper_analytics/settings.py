"""Settings of the analytics process."""

from __future__ import annotations

from pathlib import Path

from voicehelper_core.settings import BaseAppSettings


class AnalyticsSettings(BaseAppSettings):
    """Where analytics reads from and writes to."""

    postgres_dsn: str = ""
    """Postgres, as the role that owns the schema ``analytics``: progress of the sink."""
    kafka_bootstrap: str = "127.0.0.1:9092"
    """Brokers, host:port."""
    kafka_user: str = ""
    """SCRAM user that may read the cells' conversation events; without one, no authentication."""
    kafka_password: str = ""
    """Its password."""
    clickhouse_path: Path = Path("clickhouse")
    """Folder of the embedded ClickHouse."""
    http_host: str = "127.0.0.1"
    """Address of health and metrics."""
    http_port: int = 8080
    """Port of health and metrics."""
    grpc_host: str = "127.0.0.1"
    """Address of the usage API."""
    grpc_port: int = 9090
    """Port of the usage API."""
    jwks_url: str = ""
    """Identity's public keys."""
    jwks_cache_file: Path | None = None
    """Copy of the keys, for when identity is down."""
    sink_batch_rows: int = 5000
    """Events in one insert, at most."""
    sink_poll_ms: int = 200
    """How long a poll waits for events."""
    sink_interval_ms: int = 100
    """Time between two inserts, at least: fewer, larger ones. An event that comes after a pause does not wait."""
    topic_refresh_seconds: float = 1.0
    """How often new cells' topics are looked for."""
