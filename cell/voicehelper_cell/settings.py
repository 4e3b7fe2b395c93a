"""Settings of a cell's process and of its migrations."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from voicehelper_core.settings import BaseAppSettings


class CellSettings(BaseAppSettings):
    """What the operator tells a cell: who it is, its credentials, and where everything is."""

    cell_id: str
    """Id of the cell; every name in every store is built from it."""
    release: str = ""
    """Release that runs."""
    http_host: str = "127.0.0.1"
    """Address of the BFF."""
    http_port: int = 8080
    """Port of the BFF, health and metrics."""
    grpc_host: str = "127.0.0.1"
    """Address of the gRPC services."""
    grpc_port: int = 9090
    """Port of the gRPC services."""
    probe_port: int = Field(default=0, ge=0, le=65535)
    """Port of ``grpc.health.v1`` without TLS, for a kubelet's probes, which show no certificate; 0: none."""
    services: dict[str, str] = Field(default_factory=dict)
    """Where the other services of an expanded cell are: name to host:port."""
    tls_ca_file: Path | None = None
    """Authorities of an expanded cell, PEM; without the three files its services speak on loopback only."""
    tls_certificate_file: Path | None = None
    """Certificate of this service, PEM."""
    tls_key_file: Path | None = None
    """Its key, PEM. All three are read again when they change."""
    alone: bool = True
    """Whether no other process does this one's work: what another left is taken over at once, not when leases end.
    False where a process is replaced while it runs, or has replicas."""
    postgres_dsn: str = ""
    """Postgres as the cell's login role, or the service's in an expanded cell."""
    postgres_pool_size: int = Field(default=10, ge=1, le=500)
    """Connections of the process."""
    kafka_bootstrap: str = "127.0.0.1:9092"
    """Brokers, host:port."""
    kafka_user: str = ""
    """The cell's SCRAM user."""
    kafka_password: str = ""
    """Its password."""
    milvus_uri: str = "http://127.0.0.1:19530"
    """Milvus server."""
    objects_root: str = "objects"
    """Folder (or URL) of the objects of all cells, where there is no S3 server; the cell writes below its own id."""
    objects_endpoint: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """URL of the S3 server with the cell's bucket; empty uses ``objects_root``."""
    objects_region: str = "us-east-1"
    """Its region."""
    objects_access_key: str = ""
    """The cell's access key there."""
    objects_secret_key: str = ""
    """Its secret key."""
    inference_address: str = "127.0.0.1:9091"
    """Inference's gRPC API, host:port."""
    identity_address: str = "127.0.0.1:9092"
    """Identity's gRPC API, host:port."""
    analytics_address: str = "127.0.0.1:9093"
    """The usage API, host:port."""
    jwks_url: str = ""
    """Identity's public keys."""
    jwks_cache_file: Path | None = None
    """Copy of the keys, for when identity is down."""
    model_base_url: str = ""
    """Base URL of an OpenAI-compatible API (``.../v1``); empty uses the built-in ``local-extractive`` model."""
    model_api_key: str = ""
    """Its key."""
    model_name: str = ""
    """The model to ask for there."""
    model_prompt_usd_per_million: float = Field(default=0, ge=0)
    """Price of a million prompt tokens."""
    model_completion_usd_per_million: float = Field(default=0, ge=0)
    """Price of a million completion tokens."""
    model_timeout_seconds: float = Field(default=60, gt=0)
    """How long the provider may be silent."""
    context_tokens: int = Field(default=3000, ge=100)
    """Tokens of passages that a model is given."""
    answer_seconds: float = Field(default=120, gt=0)
    """How long an answer may take."""
    idempotency_hours: int = Field(default=24, ge=1)
    """How long an Idempotency-Key is remembered."""
    max_upload_bytes: int = Field(default=20 * 2**20, ge=1)
    """Size of an uploaded document."""
    max_message_characters: int = Field(default=32_000, ge=1)
    """Length of a message, in code points."""


class MigrateSettings(BaseAppSettings):
    """For ``migrate``."""

    cell_id: str
    """Id of the cell."""
    postgres_dsn: str = ""
    """Postgres as the cell's migrator role, which may become the owners of the schemas."""
    result_file: Path | None = None
    """Where the result is written too (Kubernetes: ``/dev/termination-log``)."""
