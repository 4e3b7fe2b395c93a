"""Metrics of the reconcilers."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

QUEUE_DEPTH = Gauge("reconcile_queue_depth", "Keys that wait", ["kind"])
RECONCILES = Counter("reconciles", "Finished reconciles", ["kind", "result"])
SECONDS = Histogram(
    "reconcile_duration_seconds",
    "Duration of a reconcile",
    ["kind"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60),
)
STATUS_WRITES = Counter("status_writes", "Status updates sent to the store", ["kind"])
REPAIRS = Counter("drift_repairs", "Things that were there before and had to be made again", ["kind"])
LEADING = Gauge("operator_leading", "1 while this operator holds the lease")
