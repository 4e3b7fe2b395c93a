"""Metrics of the reconcilers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import Counter, Gauge, Histogram

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60)
QUEUE_DEPTH = Gauge("reconcile_queue_depth", "Keys that wait", ["kind"])
RECONCILES = Counter("reconciles", "Finished reconciles", ["kind", "result"])
"""``result`` done, waiting (looked at again, with back-off), gone or error."""
ERRORS = Counter("reconcile_errors", "Reconciles that ended with an error", ["kind", "error"])
"""``error`` is the class."""
SECONDS = Histogram("reconcile_duration_seconds", "Duration of a reconcile", ["kind"], buckets=_BUCKETS)
STEPS = Counter("reconcile_steps", "Steps of reconciles", ["kind", "step", "result"])
"""``step`` as the plans name them, ``probe`` or ``status``; ``result`` ok, again (not done yet) or an error's class."""
STEP_SECONDS = Histogram("reconcile_step_duration_seconds", "Duration of a step", ["kind", "step"], buckets=_BUCKETS)
STORE_ERRORS = Counter("store_errors", "What stores answered instead of doing it", ["store", "error"])
"""``error`` is the class of the store's client; a step that met one goes on with the other stores and is ``again``."""
STATUS_WRITES = Counter("status_writes", "Status updates sent to the store", ["kind"])
REPAIRS = Counter("drift_repairs", "Things that were there before and had to be made again", ["kind"])
LEADING = Gauge("operator_leading", "1 while this operator holds the lease")


@dataclass(slots=True)
class Step:
    """One that runs."""

    result: str = "ok"

    def fell_short(self, problem: object, error: Exception | None = None) -> None:
        """It is to be done again where there is a problem: ``error``, where one says which."""
        if problem or error is not None:
            self.result = type(error).__name__ if error is not None else "again"


@contextmanager
def step(kind: str, name: str) -> Iterator[Step]:
    """Measures what runs in it."""
    running, began = Step(), time.perf_counter()
    try:
        yield running
    except Exception as error:
        running.result = type(error).__name__
        raise
    finally:
        STEPS.labels(kind, name, running.result).inc()
        STEP_SECONDS.labels(kind, name).observe(time.perf_counter() - began)
