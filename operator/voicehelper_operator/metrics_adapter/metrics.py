"""Metrics of the adapter itself."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

TARGETS = Gauge("metrics_adapter_targets", "Pods that are read")
SCRAPES = Counter("metrics_adapter_scrapes", "Reads of a pod's metrics", ["result"])
ROUND_SECONDS = Histogram(
    "metrics_adapter_round_duration_seconds",
    "Duration of a look at all pods",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
ANSWERS = Counter("metrics_adapter_answers", "Answers to the API server", ["code"])
