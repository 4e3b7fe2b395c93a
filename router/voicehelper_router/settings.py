"""Settings of the router's control plane, and what Envoy's bootstrap is rendered from."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from voicehelper_core.resources import Substrate
from voicehelper_core.settings import BaseAppSettings


class RouterSettings(BaseAppSettings):
    """Where the control plane reads from and what it serves."""

    resources: Substrate = "postgres"
    """Where the resources are: the embedded store in Postgres, or the API of the Kubernetes that this runs in."""
    kubeconfig: Path | None = None
    """How to reach that API from outside of the cluster; empty uses the pod's service account."""
    postgres_dsn: str = ""
    """Postgres, as a role that may read the resources and listen for their changes."""
    xds_host: str = "127.0.0.1"
    """Address of the xDS server."""
    xds_port: int = 18000
    """Port of the xDS server."""
    xds_socket: Path | None = None
    """Unix socket of the xDS server instead of a port: on one machine, only whoever may enter its folder gets in."""
    http_host: str = "127.0.0.1"
    """Address of health, metrics and the copy of the public keys."""
    http_port: int = 8080
    """Port of health, metrics and the copy of the public keys."""
    snapshot_file: Path = Path("router-snapshot.json")
    """The last known routes, served when Postgres is down at the start."""
    jwks_source_url: str = ""
    """Identity's public keys."""
    jwks_file: Path = Path("router-jwks.json")
    """Copy of the keys, served when identity is down."""
    jwks_refresh_seconds: float = 5.0
    """How often the keys are fetched."""
    snapshot_delay_seconds: float = 0.2
    """How long changes are gathered before the snapshot is written to disk."""
    hold_seconds: float = Field(default=30.0, gt=0, le=35)
    """How long a request waits for a cell that sleeps before it is answered with 503. Not longer than Envoy lets a
    stream be silent."""
    holds_per_tenant: int = Field(default=100, ge=1)
    """Requests of one tenant that wait at once; those beyond are answered with 503."""
    holds: int = Field(default=1000, ge=1, le=10_000)
    """Requests of all tenants that wait at once. One costs 30 kB here, and in Envoy 60 kB and up to 1 MB
    of its body."""
    admin_socket: Path | None = None
    """Unix socket of Envoy's statistics: how much cells are used."""
    admin_host: str = "127.0.0.1"
    """Address of Envoy's statistics, where they are not on a socket."""
    admin_port: int = 0
    """Port of them; 0 without a socket means that nobody asks how much cells are used."""
    activity_seconds: float = Field(default=2.0, ge=0)
    """How old the figures of all cells may be: reading them costs Envoy's main thread 45 ms with 1,000 cells."""
    store_retry_seconds: float = 1.0
    """How long to wait before Postgres is tried again."""


class BootstrapSettings(BaseModel):
    """What Envoy's static configuration depends on."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    listen_host: str = "127.0.0.1"
    """Address that clients connect to."""
    listen_port: int
    """Port that clients connect to."""
    admin_host: str = "127.0.0.1"
    """Address of Envoy's own statistics; never anything but loopback."""
    admin_port: int = 0
    """Port of Envoy's own statistics."""
    admin_socket: Path | None = None
    """Unix socket (mode 0600) of them instead of a port: they name every tenant."""
    xds_host: str = "127.0.0.1"
    """Address of the control plane's xDS server."""
    xds_port: int = 0
    """Port of the control plane's xDS server."""
    xds_socket: Path | None = None
    """Unix socket of it instead of a port."""
    jwks_host: str = "127.0.0.1"
    """Address of the control plane's copy of the public keys."""
    jwks_port: int
    """Port of the control plane's copy of the public keys."""
    identity_host: str = "127.0.0.1"
    """Address of identity's HTTP server."""
    identity_port: int
    """Port of identity's HTTP server."""
    otlp_host: str = "127.0.0.1"
    """Address of an OpenTelemetry collector (gRPC)."""
    otlp_port: int | None = None
    """Port of the collector; None exports nothing, trace context is passed on all the same."""
    concurrency: int = 1
    """Worker threads."""
    node_id: str = "router"
    """Name of this Envoy towards the control plane."""
    jwks_cache_seconds: float = 5.0
    """How often Envoy fetches the public keys again."""
