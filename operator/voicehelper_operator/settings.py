"""Settings of the operator."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator
from voicehelper_core.settings import BaseAppSettings

from voicehelper_operator.admission.settings import WebhookSettings
from voicehelper_operator.workloads.kubernetes.settings import KubernetesSettings


class OperatorSettings(BaseAppSettings):
    """Where the stores are, as whom the operator administers them, and what cells are told."""

    postgres_admin_dsn: str = ""
    """Postgres as a superuser: makes roles, schemas and the publication's list of tables."""
    postgres_host: str = "127.0.0.1"
    """Postgres as cells reach it."""
    postgres_port: int = 5432
    """Its port."""
    postgres_database: str = "voicehelper"
    """Its database."""
    debezium_role: str = "debezium"
    """Role that may read every table of every cell for change data capture."""
    publication: str = "voicehelper"
    """Publication whose list of tables the operator keeps."""
    replication_slot: str = "voicehelper"
    """Slot through which change data capture reads; outbox rows that it has not confirmed are kept."""
    outbox_hours: int = Field(default=24, ge=1)
    """How long outbox rows are kept, at least."""
    kafka_bootstrap: str = "127.0.0.1:9092"
    """Brokers, host:port."""
    kafka_admin_user: str = "admin"
    """SCRAM user that administers topics, users and ACLs."""
    kafka_admin_password: str = ""
    """Its password."""
    milvus_uri: str = "http://127.0.0.1:19530"
    """Milvus server."""
    objects_root: str = "objects"
    """Folder of the objects of all cells, where there is no S3 server."""
    objects_endpoint: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """URL of the S3 server that keeps the objects, for the operator and for cells; empty uses ``objects_root``."""
    objects_region: str = "us-east-1"
    """Its region."""
    objects_admin_access_key: str = ""
    """Access key that makes buckets and accounts there."""
    objects_admin_secret_key: str = ""
    """Its secret key."""
    archive_root: str = "archives"
    """Folder of the archives of deleted tenants, where there is no S3 server."""
    archive_bucket: str = "archives"
    """Bucket of those archives on the S3 server."""
    archive_prefix: str = Field(default="", pattern=r"^([A-Za-z0-9._-]+/)*$")
    """What their keys in the bucket begin with, such as ``production/``."""
    archive_spool: str = ""
    """Folder in which an archive lies while it is imported; empty uses that of temporary files."""
    identity_address: str = "127.0.0.1:9090"
    """Identity's gRPC API, host:port."""
    provisioning_key: str = ""
    """What identity's provisioning API asks for."""
    router_url: str = "http://127.0.0.1:8080"
    """The router as the operator reaches it, for the routed probe."""
    public_url: str = ""
    """The router as clients reach it, which becomes the tenants' endpoint; empty means the same."""
    routers_url: str = ""
    """HTTP of the routers' control planes, which tell how cells are used; the name may have an address for each. Empty:
    no cell falls asleep by itself."""
    inference_address: str = "127.0.0.1:9091"
    """Inference's gRPC API, host:port."""
    analytics_address: str = "127.0.0.1:9092"
    """The usage API, host:port."""
    jwks_url: str = ""
    """Identity's public keys, for cells."""
    supervisor_socket: Path = Path("supervisor.sock")
    """Socket of the supervisor that runs cells on one machine."""
    release: str = ""
    """The platform's current release."""
    cells_follow: Literal["platform", "rollouts"] = "platform"
    """Whether cells without a pin run the platform's release at once, or go on with theirs until a CellRelease takes
    them along."""
    release_webhook: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """URL that is sent a JSON document for each hold, failure and end of a CellRelease; empty tells nobody."""
    release_history: int = Field(default=10, ge=1)
    """How many CellReleases that have ended are kept, besides those that cells depend on; older ones are removed."""
    cell_settings: dict[str, Any] = Field(default_factory=dict)
    """Further settings of every cell, such as those of a model provider."""
    credentials_days: int = Field(default=90, ge=0, le=3650)
    """How old the passwords of a cell in the stores may become before they are rotated; 0: never by age."""
    resync_seconds: float = Field(default=30.0, gt=0)
    """How often everything is looked at without a reason."""
    workers: int = Field(default=4, ge=1, le=64)
    """Keys reconciled at once, per kind."""
    holder: str = f"{socket.gethostname()}-{os.getpid()}"
    """Name in the lease."""
    lease_seconds: int = Field(default=15, ge=3)
    """How long the lease holds when its holder dies."""


class ClusterOperatorSettings(OperatorSettings):
    """Of the operator as a process of its own on Kubernetes."""

    http_host: str = "0.0.0.0"  # noqa: S104 (a pod's own address; NetworkPolicies say who gets in)
    """Address of health and metrics."""
    http_port: int = 8080
    """Port of health and metrics."""
    kubeconfig: Path | None = None
    """How to reach the API server from outside of the cluster; empty uses the pod's service account."""
    kubernetes: KubernetesSettings = Field(default_factory=KubernetesSettings)
    """The cluster that cells run in."""
    webhook: WebhookSettings = Field(default_factory=WebhookSettings)
    """Admission of the resources."""
    secrets: Literal["kubernetes", "vault"] = "kubernetes"
    """Where credentials of cells and tenants are kept: Secrets of the operator's namespace, or HashiCorp Vault."""
    vault_address: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """URL of Vault."""
    vault_ca_file: str = ""
    """Certificates (PEM) that sign Vault's; empty trusts what the system does."""
    vault_namespace: str = ""
    """Namespace of Vault Enterprise; empty uses none."""
    vault_mount: str = "secret"
    """Where the key-value engine (version 2) is mounted."""
    vault_auth_mount: str = "kubernetes"
    """Where the login of service accounts is mounted."""
    vault_role: str = "voicehelper-operator"
    """Role of that login that the operator has."""
    vault_token_file: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
    """Token of the operator's service account, read at each login."""

    @model_validator(mode="after")
    def _vault_is_somewhere(self) -> Self:
        if self.secrets == "vault" and not self.vault_address:
            raise ValueError("secrets: vault needs vault_address")
        return self
