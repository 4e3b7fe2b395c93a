"""Metrics of admission."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("admission_requests", "Reviewed requests", ["kind", "operation", "result"])
"""``result`` allowed, refused, or failed: no judgement was possible, which refuses too."""
SECONDS = Histogram(
    "admission_duration_seconds",
    "Duration of a review",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
CONFIGURED = Gauge("admission_configured", "1 while the API server is told to ask; 0 where nobody made the object")
WRITES = Counter("admission_configuration_writes", "Writes of the webhook configuration")
EXPIRES = Gauge("admission_certificate_expiry_timestamp_seconds", "End of the serving certificate")
