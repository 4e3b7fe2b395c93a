"""Requests through the router's Envoy (`bare` is the same Envoy with one static route and one cluster and nothing else),
driven by `wrk` (32 connections, a closed loop: latencies are those of a saturated router). Each request is of a tenant
drawn at random, with the token of that tenant. Envoy has one core for itself; `wrk`, the upstream (an Envoy that answers
at once: [[direct.rps]] without a router) and the control plane share the other. A router that is quicker than the load
generator idles, so CPU per request is compared beside requests per second. Each variant is compared with bare Envoy
under the same requests, drawn from as many tenants: with more of them the load generator and the processor's caches do
more, whatever routes.

- **Routing alone** is the scoped routes of the product's own control plane in an otherwise bare Envoy, all tenants in one
  cell.
- **As delivered** is the product's whole bootstrap: it strips what clients say about themselves, verifies the token,
  compares it with the header, passes on the trace, writes a log line. 5,000 tenants are drawn, whose tokens fit into Envoy's
  cache (10,000); `uncached` draws from all 100,000, so that most requests pay for a signature (Ed25519): [[uncached.cpu]].
- **100 cells**: the same 100,000 tenants in 100 cells, and bare Envoy with 100 clusters. More upstreams cost bare Envoy
  the same, whatever routes to them: [[cells.bare.cpu]] against [[bare.5000.cpu]].

A **change** is a write of a tenant's status to the resource store, as the operator does it when a tenant moves; it is
effective when a request through the router is answered by the new cell (asked every few ms). It is measured from before
the write. With the network to the control plane slowed down by 300 ms each way, a tenant moves to cells that were made a
moment before, and back out of cells that are removed at once: [[delayed.p50]], [[delayed.wrong]] of all requests.

The **control plane** with 100,000 tenants takes [[cold.xds.read]] to read the store and [[xds.memory]]; an Envoy that
starts with nothing accepts connections after [[cold.envoy]] and takes [[cold.envoy.memory]]. From the copy on disk, with
Postgres away, the control plane is ready [[disk.xds.read]] after it answers. One change costs it [[change.xds_cpu]].
When it is started anew and an Envoy with everything comes back, [[resync.resources]], which costs it
[[resync.xds_cpu]] and Envoy [[resync.envoy_cpu]]; doing nothing costs [[xds.idle]].
"""

from __future__ import annotations

from voicehelper_bench.goals import Goal
from voicehelper_bench.plots import Plot

TITLE = "Router"
_SIZES = (1, 1000, 100000)
_NAMES = ("1", "1,000", "100,000")
_FILTERS = (
    "profile of 2026-11-24 (one part left out after the other; bare Envoy 53 µs a request): claims of the token as headers "
    "(`sub`, `tenant`) 5 to 8 µs, the rest of the JWT filter 5 to 8 µs (each request asks the cache by the whole token), the "
    "matcher that keeps paths without a token in the public scope 7 µs, RBAC with its CEL condition 4 to 8 µs"
)
GOALS: tuple[Goal, ...] = (
    *(
        Goal(
            f"routing alone, {name} tenant{'s' if size > 1 else ''}, CPU",
            f"scoped.{size}.per_core",
            ">=",
            0.9,
            of="ratio",
        )
        for size, name in zip(_SIZES, _NAMES, strict=True)
    ),
    *(
        Goal(
            f"JWT (cached) and RBAC, {name} tenant{'s' if size > 1 else ''}, CPU",
            f"filters.{size}.per_core",
            ">=",
            0.8,
            of="ratio",
            why=_FILTERS,
        )
        for size, name in zip(_SIZES, _NAMES, strict=True)
    ),
    Goal("a tenant's change under load with 100,000 tenants, P95", "change.p95", "<=", 50),
    Goal("wrong answers during changes", "change.wrong", "==", 0),
    Goal("wrong answers during moves with 300 ms of delay", "delayed.wrong", "==", 0),
    Goal("wrong answers under load", "change.load.wrong", "==", 0),
)
_VARIANTS = {"routing alone": "scoped", "JWT and RBAC": "filters", "as delivered": "full"}
PLOTS: tuple[Plot, ...] = (
    Plot(
        "router-cpu",
        "CPU of Envoy for a request",
        "µs",
        _NAMES,
        {
            "bare": tuple(f"bare.{size}.cpu" for size in _SIZES),
            **{title: tuple(f"{name}.{size}.cpu" for size in _SIZES) for title, name in _VARIANTS.items()},
        },
        x_label="tenants",
    ),
    Plot(
        "router-throughput",
        "Requests a second, one core",
        "req/s",
        _NAMES,
        {
            "bare": tuple(f"bare.{size}.rps" for size in _SIZES),
            **{title: tuple(f"{name}.{size}.rps" for size in _SIZES) for title, name in _VARIANTS.items()},
        },
        x_label="tenants",
    ),
)
