"""Where admission listens, and what the API server is told of it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class WebhookSettings(BaseModel):
    """Of the admission webhook."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    enabled: bool = True
    """Whether this process answers the API server's questions."""
    host: str = "0.0.0.0"  # noqa: S104 (a pod's own address; NetworkPolicies say who gets in)
    """Address of the server."""
    port: int = 9443
    """Its port, also of the Service."""
    service: str = "operator"
    """Service, in the platform's namespace, through which the API server asks."""
    url: str = ""
    """Asked directly at this URL instead, for an operator outside of the cluster."""
    configuration: str = "voicehelper-operator"
    """ValidatingWebhookConfiguration that is filled in; whoever installs the platform makes and removes it."""
    secret: str = "voicehelper-webhook"  # noqa: S105 (a name)
    """Secret with the certificates, in the platform's namespace."""
    administrators: list[str] = Field(default_factory=lambda: ["system:masters"])
    """Users and groups that may take finalizers and write labels that are the operator's own."""
    look_seconds: float = Field(default=60.0, gt=0)
    """How often the certificates are looked at."""
