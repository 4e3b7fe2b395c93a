"""Messages are written with their events as a cell writes them, in its tables, under its login and in the tenant's session,
by a process of its own; the clock starts when the commit has returned to it. At 10 and 100 rows a second a transaction
holds one message with its event, at 1,000 it holds ten. **Kafka** is when a consumer has the event. **Queryable** is when
`GET /api/v1/usage` through the router counts it (asked every 50 ms, so an upper bound by as much), views included; in
rounds of its own, since asking so often takes time that the pipeline does not get.

The **peer** is the same connector with Debezium's own polling (500 ms), on a slot and topics of its own, in rounds that
alternate with ours. Polling every 5 ms costs Connect [[idle.connect.cpu]] while nothing happens,
[[idle.connect.cpu:ratio]] times what the default costs.

One client that writes as fast as it can (20 messages a transaction) writes [[sustained.written]]; the usage API is
[[sustained.lag]] behind when it stops. When the connector was away for what ten minutes at 100 messages a second write,
Kafka is level after [[catchup.kafka]] and the usage API after [[catchup.queryable]].
"""

from __future__ import annotations

from voicehelper_bench.goals import Goal
from voicehelper_bench.plots import Plot

TITLE = "Change data capture"
_SHARED = (
    "every process of the platform and the clients share two cores: at 100 rows a second Connect takes "
    "[[cost.100.connect.cpu]], Kafka [[cost.100.kafka.cpu]] and analytics [[cost.100.analytics.cpu]], at 1,000 Postgres "
    "[[cost.1000.postgres.cpu]], Connect [[cost.1000.connect.cpu]], Kafka [[cost.1000.kafka.cpu]] and analytics "
    "[[cost.1000.analytics.cpu]], which together is all that both cores have"
)
GOALS: tuple[Goal, ...] = (
    *(
        Goal(f"commit -> Kafka at {rate} rows/s, P95", f"kafka.{rate}.p95", "<=", 20, why=_SHARED)
        for rate in (10, 100, 1000)
    ),
    *(
        Goal(
            f"commit -> queryable at {rate} rows/s, P95", f"queryable.{rate}.p95", "<=", 300,
            why="one insert follows the other, and each writes 26 files and 7 folders (twelve columns in two tables, "
            "each synchronised) for 33 ms of processor time, of which 15 are left on tmpfs: the rest is this ext4's search "
            "for inodes that were not deleted recently (`recently_deleted`; profile of 2026-11-28 by perf); " + _SHARED,
        )
        for rate in (10, 100, 1000)
    ),
)  # fmt: skip
_RATES = ("10", "100", "1,000")
PLOTS: tuple[Plot, ...] = (
    Plot(
        "cdc-latency",
        "From the commit until it can be read, P95",
        "ms",
        _RATES,
        {
            "Kafka": tuple(f"kafka.{rate}.p95" for rate in (10, 100, 1000)),
            "usage API": tuple(f"queryable.{rate}.p95" for rate in (10, 100, 1000)),
        },
        x_label="messages a second",
    ),
)
