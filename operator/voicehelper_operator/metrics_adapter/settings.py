"""Settings of the metrics adapter."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from voicehelper_core.settings import BaseAppSettings


class MetricsAdapterSettings(BaseAppSettings):
    """Of the process behind ``v1beta2.custom.metrics.k8s.io``."""

    kubeconfig: Path | None = None
    """How to reach the API server from outside of the cluster; empty uses the pod's service account."""
    https_host: str = "0.0.0.0"  # noqa: S104 (a pod's own address; only the API server's certificate opens it)
    """Address that the API server's aggregation layer calls."""
    https_port: int = 8443
    """Its port; 0 takes a free one."""
    http_host: str = "0.0.0.0"  # noqa: S104 (a pod's own address; NetworkPolicies say who gets in)
    """Address of health and metrics."""
    http_port: int = 8080
    """Port of health and metrics."""
    namespace: str = "voicehelper-prod"
    """Namespace of the adapter: of its Service and of the Secret with its certificate."""
    service: str = "metrics-adapter"
    """Its Service, as the APIService names it: the certificate is for that name."""
    certificate_secret: str = "metrics-adapter-certificate"  # noqa: S105 (a name)
    """Secret that the replicas share their certificate by. It has to be there; the adapter fills it."""
    pod_port: int = 8080
    """Port of the cells' pods that serves ``/metrics``."""
    scrape_seconds: float = Field(default=5.0, gt=0)
    """From one look at all pods to the next."""
    scrape_timeout_seconds: float = Field(default=2.0, gt=0)
    """How long one pod may take to answer."""
    scrape_concurrency: int = Field(default=32, ge=1, le=1024)
    """Pods that are read at once."""
    window_seconds: float = Field(default=30.0, gt=0)
    """What a rate is the mean of."""
    check_seconds: float = Field(default=60.0, gt=0)
    """How often the certificates, its own and the API server's, are looked at."""
