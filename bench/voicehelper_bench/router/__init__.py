"""Envoy and its control plane with 1, 1,000 and 100,000 tenants, against bare Envoy and the upstream itself.

``site`` builds up what is measured (stores in a Postgres of their own, the product's control planes and bootstraps,
Envoys pinned to one core, all else on the others), ``throughput`` compares, ``moves`` changes single tenants under load
(``changes`` is one change), ``server`` looks at the control plane: starts, memory, an Envoy that comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from voicehelper_bench import preflight
from voicehelper_bench.figures import Report
from voicehelper_bench.router import envoys, moves, server, throughput
from voicehelper_bench.router.control import Control
from voicehelper_bench.router.processes import free_port
from voicehelper_bench.router.site import Front, Site

CACHED = 5_000
"""Tenants drawn where Envoy is to remember all tokens, of 100,000."""
_CELLS = 100


def run(report: Report, *, quick: bool) -> None:
    """Measure. ``quick`` is the same with at most 1,000 tenants and short runs."""
    preflight.provide(report.note)
    sizes = (1, 1_000) if quick else (1, 1_000, 100_000)
    with Site(report, sizes[-1]) as site:
        _throughput(report, site, sizes, rounds=2 if quick else 7, seconds=2 if quick else 5)
        _changes(report, site, sizes[-1], quick=quick)


def _throughput(report: Report, site: Site, sizes: Sequence[int], rounds: int, seconds: float) -> None:
    def variant(front: Front, drawn: int) -> throughput.Variant:
        return throughput.Variant(front.process, front.port, site.tokens, drawn, _bare(drawn))

    # The more tenants are drawn, the more each request costs the load generator, the caches of the processor and so
    # Envoy, whatever it does: each variant is compared with bare Envoy under the same requests.
    variants = {
        _bare(drawn): throughput.Variant(site.bare, site.bare_port, site.tokens, drawn)
        for drawn in sorted({*sizes, min(sizes[-1], CACHED)})
    }
    variants["direct"] = throughput.Variant(site.upstream, site.servers["a"], site.tokens, 1, _bare(1))
    for size in sizes:
        plane = site.control(site.store(f"tenants-{size}", size, 1), f"xds-{size}")
        variants[f"scoped.{size}"] = variant(site.front(f"scoped-{size}", plane, only="routes"), size)
        variants[f"filters.{size}"] = variant(site.front(f"filters-{size}", plane, only="filters"), min(size, CACHED))
        variants[f"full.{size}"] = variant(site.front(f"full-{size}", plane), min(size, CACHED))
    # More tokens at a time than the cache holds: most requests pay a signature.
    variants["uncached"] = variant(site.front("uncached", plane), sizes[-1])
    throughput.compare(report, variants, rounds, seconds, peer="bare Envoy, same requests", wrong="wrong")


def _bare(drawn: int) -> str:
    return f"bare.{drawn}"


def _changes(report: Report, site: Site, tenants: int, *, quick: bool) -> None:
    """Tenants in many cells: the control plane's start, single changes, many cells under load, and a restart."""
    dsn = site.store("cells", tenants, _CELLS)
    with site.passing_control(dsn, "xds-cells") as plane:
        server.started(report, "cold.xds", plane)
        server.cold_envoy(report, site, plane)
        near = site.front("near", plane)
        server.idle(report, plane)
        asyncio.run(moves.measure(report, site, dsn, near, times=10 if quick else 200))
        _many_cells(report, site, plane, tenants, quick=quick)
        ports = (plane.xds_port, plane.http_port)
    # The same ports: Envoy finds the next one by itself.
    server.from_disk(report, site, ports)
    server.resync(report, site, dsn, near, ports)


def _many_cells(report: Report, site: Site, plane: Control, tenants: int, *, quick: bool) -> None:
    """As many upstreams as cells: what that costs without any routing of ours is measured beside it."""
    port = free_port()
    weighted = site.envoy("bare-cells", envoys.bare(port, site.servers["a"], _CELLS), port, site.own)
    routing, whole = site.front("cells-scoped", plane, only="routes"), site.front("cells-full", plane)
    drawn, peer = min(tenants, CACHED), "cells.bare"
    variants = {
        peer: throughput.Variant(weighted, port, site.tokens, drawn),
        "cells.scoped": throughput.Variant(routing.process, routing.port, site.tokens, drawn, peer),
        "cells.full": throughput.Variant(whole.process, whole.port, site.tokens, drawn, peer),
    }
    rounds, seconds = (2, 2) if quick else (5, 5)
    throughput.compare(report, variants, rounds, seconds, peer=f"bare Envoy, {_CELLS} clusters", wrong="cells.wrong")
