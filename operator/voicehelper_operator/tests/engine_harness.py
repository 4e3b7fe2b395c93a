"""What the tests of the engine share."""

from __future__ import annotations

import asyncio

API = "voicehelper.io/v1alpha1"


async def end(*tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def one_tenant_in_a_shared_cell(world):
    for kind, name, spec in (
        ("CellClass", "standard", {}),
        ("TenantPlan", "team", {"isolation": "shared"}),
        ("Cell", "shared-1", {}),
        ("Tenant", "acme", {"planRef": "team", "admin": {"email": "admin@acme.example"}}),
    ):
        await world.store.apply({"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec})
