"""From applying a ``Tenant`` to ``Ready``, in a shared cell that runs already and with a cell of its own.

A tenant is timed from the call that applies its manifest to the moment in which a watch of the resource store shows it
`Ready`, that is, after a request through the router was answered by its cell. The peer of a tenant in a shared cell is
the bare store work by hand, without any resource, status or route: a row, a Milvus partition, the admin with its hashed
password (P50 [[shared.bare.p50]]). The peer of a dedicated cell is starting the program twice, once to migrate and
once to serve (P50 [[dedicated.bare.p50]]). Both are measured in turns with the tenants.

| | P50 | P95 |
|---|---|---|
| shared cell, one after the other | [[shared.ready.p50]] | [[shared.ready.p95]] |
| shared cell, ten at once | [[burst10.ready.p50]] | [[burst10.ready.p95]] |
| dedicated cell, one after the other | [[dedicated.ready.p50]] | [[dedicated.ready.p95]] |
| deleted from a shared cell (2 s of grace for what runs) | [[shared.gone.p50]] | [[shared.gone.p95]] |
| deleted with its dedicated cell | [[dedicated.gone.p50]] | [[dedicated.gone.p95]] |

1,000 tenants applied as fast as the store takes them are all `Ready` after [[many.1000.seconds]]
([[many.1000.rate]]); the control plane grew by [[many.1000.memory.control-plane]], Envoy by
[[many.1000.memory.router]], xDS by [[many.1000.memory.xds]]. A resync (every 30 s) then writes
[[resync.writes]] and costs [[resync.cpu.control-plane]] of processor time in the control plane,
[[resync.cpu.postgres]] in Postgres, [[resync.cpu.kafka]] in Kafka (its idle time included),
[[resync.cpu.milvus]] in Milvus and [[resync.wal]] of write-ahead log, the heartbeat of the lease included.
"""

from __future__ import annotations

from voicehelper_bench.goals import Goal
from voicehelper_bench.plots import Plot

TITLE = "Onboarding"
GOALS: tuple[Goal, ...] = (
    Goal("Tenant applied -> Ready in a shared cell, P95", "shared.ready.p95", "<=", 1.0),
    Goal("Tenant applied -> Ready with a dedicated cell, P95", "dedicated.ready.p95", "<=", 15.0),
    Goal("writes of a resync that changes nothing, 1,000 tenants", "resync.writes", "==", 0),
)
_STEPS = ("accepted", "placed", "slicesready", "identityready", "routable", "ready")
PLOTS: tuple[Plot, ...] = (
    Plot(
        "onboard-steps",
        "When each condition became true (median)",
        "s after the apply",
        ("Accepted", "Placed", "SlicesReady", "IdentityReady", "Routable", "Ready"),
        {kind: tuple(f"{kind}.step.{step}" for step in _STEPS) for kind in ("shared", "dedicated")},
    ),
)
