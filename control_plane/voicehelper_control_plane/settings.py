"""Settings of the control plane's API."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from voicehelper_core.resources import Substrate
from voicehelper_core.settings import BaseAppSettings
from voicehelper_core.signing_keys import LONGEST_TOKEN_SECONDS


class ControlPlaneSettings(BaseAppSettings):
    """Where identity keeps its data and what it serves."""

    resources: Substrate = "postgres"
    """Where the resources are: the embedded store in Postgres, or the API of the Kubernetes that this runs in."""
    kubeconfig: Path | None = None
    """How to reach that API from outside of the cluster; empty uses the pod's service account."""
    postgres_dsn: str = ""
    """Postgres, as the role that owns the schema ``identity``."""
    http_host: str = "127.0.0.1"
    """Address of the HTTP API."""
    http_port: int = 8080
    """Port of the HTTP API."""
    grpc_host: str = "127.0.0.1"
    """Address of the gRPC API."""
    grpc_port: int = 9090
    """Port of the gRPC API."""
    signing_key_file: Path = Path("signing-key.json")
    """Private key (JWK, Ed25519) that signs tokens, or a set of them (JWK Set) while one follows another. Made with
    mode 0600 when it is missing; a change is taken without a restart."""
    token_seconds: int = Field(default=900, ge=60, le=LONGEST_TOKEN_SECONDS)
    """Life of an access token."""
    refresh_seconds: int = Field(default=30 * 86_400, ge=600)
    """Life of a refresh token; each use replaces it."""
    service_token_seconds: int = Field(default=60, ge=10, le=600)
    """Life of a service token."""
    provisioning_key: str = ""
    """What the operator shows to the provisioning API; empty refuses everybody."""
    operator_url: str = ""
    """The operator's HTTP API, which makes and restores archives; empty refuses both."""
    platform_admin_email: str = "admin@voicehelper.example"
    """First user of the platform, with the role ``platform-admin``."""
    platform_admin_password: str = ""
    """Its first password; empty makes no such user."""
    public_url: str = "http://127.0.0.1:8080"
    """Where clients reach the platform, for OpenID discovery."""
    postgres_pool_size: int = Field(default=10, ge=2, le=200)
    """Connections at most."""
    login_failures: int = Field(default=10, ge=3)
    """Failed logins of one address at one account until it has to wait."""
    login_window_seconds: int = Field(default=60, ge=1)
    """How long failures count."""
