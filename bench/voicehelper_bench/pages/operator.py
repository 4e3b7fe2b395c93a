"""The operator's own process on a real API server (etcd without fsync, no node), with many tenants.

Every figure has the **runtime `stub`**: stores, identity, the routed probe and the workloads answer at once, so that what
is left is the resource side: the reconcilers, the cached resource store, secrets, events and the lease. Tenants with the
deletion policy `Delete` are spread over shared cells of 100. All are created as fast as the API server takes them until
all are `Ready`, and at the end deleted until all are gone (with the operator's 2 s of grace): a **lifecycle** is both. In
between some are created one by one, a resync finds nothing to do (every 10 s here), and the operator is started anew.

The peer is a small operator of **kopf handlers** (create, update, resume, delete) that takes the same steps through the
same stubs, with kopf's usual persistence. It records an id before anything is made with it and a route before it is
probed, and has less to do: it counts places in memory, its cells do not count tenants, and it has no lease, no events, no
resync and no repair of drift. Each has an API server of its own. Requests are counted by the API server.

| 1,000 tenants | the operator | naive kopf handlers |
|---|---|---|
| lifecycles | [[1000.ours.lifecycles]] | [[1000.kopf.lifecycles]] |
| created -> `Routable`, all at once, P50 | [[1000.ours.routable.p50]] | [[1000.kopf.routable.p50]] |
| created -> `Routable`, all at once, P95 | [[1000.ours.routable.p95]] | [[1000.kopf.routable.p95]] |
| created -> `Routable`, one by one, P50 | [[1000.ours.single.p50]] | [[1000.kopf.single.p50]] |
| created -> `Routable`, one by one, P95 | [[1000.ours.single.p95]] | [[1000.kopf.single.p95]] |
| CPU of the operator | [[1000.ours.cpu]] | [[1000.kopf.cpu]] |
| CPU of the API server and etcd | [[1000.ours.servers.cpu]] | [[1000.kopf.servers.cpu]] |
| writes | [[1000.ours.writes]] | [[1000.kopf.writes]] |
| RSS, peak and settled | [[1000.ours.rss.peak]], [[1000.ours.rss.settled]] | [[1000.kopf.rss.peak]], [[1000.kopf.rss.settled]] |
| restart until nothing is left to do | [[1000.ours.restart.quiet]] | [[1000.kopf.restart.quiet]] |
| writes of a restart | [[1000.ours.restart.writes]] | [[1000.kopf.restart.writes]] |

With 10,000 tenants: [[10000.ours.lifecycles]], RSS [[10000.ours.rss.settled]] (peak [[10000.ours.rss.peak]]), synced
[[10000.ours.restart.synced]] after a restart, which writes [[10000.ours.restart.writes]]; a resync writes
[[10000.ours.resync.writes]] and costs [[10000.ours.resync.cpu]] of CPU. kopf's handlers are left out of that size where
they would need more than ten minutes.
"""

from __future__ import annotations

from voicehelper_bench.goals import Goal
from voicehelper_bench.plots import Plot

TITLE = "Operator"
_SIZES = (1000, 10_000)
GOALS: tuple[Goal, ...] = tuple(
    goal
    for size in _SIZES
    for goal in (
        Goal(
            f"lifecycles per second, {size:,} tenants",
            f"{size}.ours.lifecycles",
            ">=",
            50,
            why=f"API server and etcd alone need [[{size}.ours.servers.cpu]] beside the operator's [[{size}.ours.cpu]],"
            " on the same two cores; four of the writes are Events.",
        ),
        Goal(
            f"RSS of the operator in MiB, {size:,} tenants, peak",
            f"{size}.ours.rss.peak",
            "<=",
            150,
            # Measured module by module while they are imported; per tenant: the two sizes' difference.
            why="124 MiB are there once the libraries are imported (gRPC 13, cryptography 10, aiohttp 7, FastAPI and"
            " pydantic 15, the project's own code 16); a tenant in the cache takes 19 KiB, its cell's part included.",
        ),
        Goal(f"writes of a resync that changes nothing, {size:,} tenants", f"{size}.ours.resync.writes", "==", 0),
        Goal(f"writes of a restart of the operator, {size:,} tenants", f"{size}.ours.restart.writes", "==", 0),
    )
)
PLOTS: tuple[Plot, ...] = (
    Plot(
        "operator-rss",
        "Memory of the operator",
        "MiB",
        tuple(f"{size:,} tenants" for size in _SIZES),
        {
            "the operator, peak": tuple(f"{size}.ours.rss.peak" for size in _SIZES),
            "the operator, settled": tuple(f"{size}.ours.rss.settled" for size in _SIZES),
            "naive kopf handlers, peak": tuple(f"{size}.kopf.rss.peak" for size in _SIZES),
        },
        goal=150,
    ),
)
