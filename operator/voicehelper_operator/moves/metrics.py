"""Metrics of moves."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

HAPPENINGS = Counter("move_happenings", "What happened to moves, as their events", ["reason"])
PAUSES = Histogram(
    "move_pause_seconds", "How long requests waited at a switch", buckets=(0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 25)
)
