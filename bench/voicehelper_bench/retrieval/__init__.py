"""Search: how quick it is (``speed``), and how good (``quality``), beside peers in the same run.

``world`` is a platform of its own with the product's retrieval service on its stores, ``corpus`` what is searched,
``load`` how it got there, ``peers`` what it is compared with.
"""

from __future__ import annotations

import asyncio

from voicehelper_embedded.throwaway import throwaway

from voicehelper_bench.figures import Report
from voicehelper_bench.retrieval import quality, speed, world

SIZES, QUICK_SIZES = (1_000, 10_000, 100_000), (1_000,)
TENANTS, QUICK_TENANTS = (50, 2_000), (5, 200)


def run(report: Report, *, quick: bool) -> None:
    """Everything on one platform; about half an hour on two cores, most of it loading."""
    sizes = QUICK_SIZES if quick else SIZES
    tenants, each = QUICK_TENANTS if quick else TENANTS
    many = [f"many-{number}" for number in range(tenants)]
    with throwaway("vh-bench-retrieval", examples=False) as platform:
        report.note(f"placing {len(many) + len(sizes) + 2} tenants in one cell")
        world.place(platform, [*(f"size-{size}" for size in sizes), *many, *quality.TENANTS])
        asyncio.run(speed.run(report, platform, sizes, many, each, quick=quick))
        asyncio.run(quality.run(report, platform, quick=quick))
