"""How many requests a process has been asked, read from its ``/metrics``. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_SAMPLE = re.compile(
    r'^(http_requests_total|grpc_server_started_total)\{((?:[^"\\}]|"(?:[^"\\]|\\.)*")*)\}[ \t]+(\S+)', re.MULTILINE
)
"""Values of labels may have braces: routes do."""
_ROUTE = re.compile(r'(?:^|,)route="((?:[^"\\]|\\.)*)"')
_STARTED = re.compile(r"^process_start_time_seconds[ \t]+(\S+)", re.MULTILINE)
_NOBODYS = {"/healthz", "/readyz", "/metrics"}
"""Routes that the platform asks for by itself, however idle the cell is."""


@dataclass(frozen=True, slots=True)
class Reading:
    """``total`` since the process began; ``started`` tells one process from the next, None where it is not said."""

    total: float
    started: float | None


def read(text: str) -> Reading:
    """Requests over HTTP and calls over gRPC together: a service of an expanded cell has the one or the other, and the
    BFF both, never twice the same. Raises ValueError for what is no amount.
    """
    total = 0.0
    for name, labels, value in _SAMPLE.findall(text):
        route = _ROUTE.search(labels) if name == "http_requests_total" else None
        if route is None or route[1] not in _NOBODYS:
            total += _number(value)
    started = _STARTED.search(text)
    return Reading(total, _number(started[1]) if started else None)


def _number(text: str) -> float:
    number = float(text)
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"no amount: {text}")
    return number
