"""Memory by process with 2, 10 and 50 cells, and what an idle cell costs.

RSS counts pages that processes share in each of them; PSS divides them. One of the first cells has been used (a
document indexed, searched and asked about), so that what is loaded at first use counts; then all are idle. The peer is
a bare Python process that has imported the frameworks of a cell (uvicorn, FastAPI, gRPC, asyncpg, aiokafka, ...) and
does nothing: [[bare.rss]], started in [[bare.start.p50]].

An idle cell has [[cell.idle]] RSS (the used one [[cell.idle.max]]), [[cell.idle.pss]] PSS and
[[cell.idle.private]] of its own; its ratio to the bare process is [[cell.idle:ratio]]. From its process' birth to
its first answer of readiness it takes [[cell.start.p50]] (P50; P95 [[cell.start.p95]]).

Where it went: the Milvus library loaded pandas, numpy and its ORM at first use, 90 MiB of the 222 that a cell had;
cells and the operator now send the same requests with its generated messages only
(`core/voicehelper_core/milvus`, 3 MiB). The stemmers of 34 other languages (10 MiB) went too. What stays is the
interpreter with FastAPI and pydantic (about 35 MiB), gRPC and the contracts (12), signatures (8), settings and logs
(15), Kafka and Postgres clients (5), and a cell's own code, routes and connections.
"""

from __future__ import annotations

from voicehelper_bench.goals import Goal
from voicehelper_bench.plots import Plot

TITLE = "Footprint"
GOALS: tuple[Goal, ...] = (Goal("idle compact cell, RSS in MiB", "cell.idle", "<=", 120),)
_SIZES = (2, 10, 50)
PLOTS: tuple[Plot, ...] = (
    Plot(
        "footprint-cells",
        "Memory of one cell (median) by the number of cells",
        "MiB",
        tuple(f"{size} cells" for size in _SIZES),
        {kind.upper(): tuple(f"cells.{size}.cell.{kind}" for size in _SIZES) for kind in ("rss", "pss")},
        goal=120,
    ),
)
