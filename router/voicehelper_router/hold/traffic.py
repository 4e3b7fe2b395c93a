"""How the requests of cells ended, and how long they took, by release: what serves, and what is tried beside it.

Errors are answers of 500 and above, of every HTTP request. The time is that of requests with the usual time limit: what
streams, uploads and asks a model goes to clusters of its own while two releases run (``xds.canary``).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from voicehelper_router.hold.activity import Activity

_FILTER = r"^cluster\.({cells})-(canary-)?((http|streams)\.upstream_rq_(completed|5xx)|http\.upstream_rq_time)$"
_LINE = re.compile(
    r"^cluster\.(?P<cell>[a-z0-9]+)-(?P<canary>canary-)?(?:http|streams)\.upstream_rq_"
    r"(?:(?P<what>completed|5xx): (?P<count>\d+)|time: (?P<buckets>.*))$",
    re.MULTILINE,
)
_BUCKET = re.compile(r"B(?P<bound>[0-9.e+]+)\(\d+,(?P<count>\d+)\)")


@dataclass(slots=True)
class Side:
    """One release of a cell, since its clusters are there."""

    requests: int = 0
    errors: int = 0
    within: list[int] = field(default_factory=list)
    """Requests that took at most as long as each of the bounds."""
    timed: int = 0
    """All requests whose time was taken."""


@dataclass(slots=True)
class Traffic:
    """Of a cell."""

    serving: Side = field(default_factory=Side)
    canary: Side = field(default_factory=Side)


def read(text: str) -> tuple[list[float], dict[str, Traffic]]:
    """Bounds in seconds, and figures by cell, of ``/stats`` with cumulative buckets."""
    bounds: list[float] = []
    cells: dict[str, Traffic] = defaultdict(Traffic)
    for match in _LINE.finditer(text):
        traffic = cells[match["cell"]]
        side = traffic.canary if match["canary"] else traffic.serving
        match match["what"]:
            case "completed":
                side.requests += int(match["count"])
            case "5xx":
                side.errors += int(match["count"])
            case _:
                buckets = [
                    (float(item["bound"]) / 1000, int(item["count"])) for item in _BUCKET.finditer(match["buckets"])
                ]
                bounds = [bound for bound, _ in buckets]
                side.within = [count for _, count in buckets]
                side.timed = max(side.within, default=0)
    return bounds, dict(cells)


async def of_cells(activity: Activity, cells: Iterable[str]) -> tuple[list[float], dict[str, Traffic]]:
    """Those of these cells that had requests. Raises Unavailable."""
    pattern = _FILTER.replace("{cells}", "|".join(cells))
    return read(await activity.stats(pattern, "&histogram_buckets=cumulative"))
