"""All checks, run when the clients rest and everything serves again.

Stores agree a while after the last request (the sink, indexing, the operator's next look), so a check that finds
something is asked again until the time is over: what is lost stays lost. When all agree, all are asked once more, since
what is doubled may show late.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from voicehelper_e2e.chaos.calls import Caller
from voicehelper_e2e.chaos.ledger import Ledger, TenantLedger
from voicehelper_e2e.chaos.oracle import documents, events, messages, orphans
from voicehelper_e2e.chaos.oracle.finding import Finding
from voicehelper_e2e.chaos.oracle.world import World
from voicehelper_e2e.chaos.platform import FiredOn

SETTLE_SECONDS = 180.0
_PAUSE_SECONDS = 3.0
Check = Callable[[World], Awaitable[list[Finding]]]


def _of_tenants(check: Callable[[Caller, TenantLedger], Awaitable[list[Finding]]]) -> Check:
    async def all_tenants(world: World) -> list[Finding]:
        found: list[Finding] = []
        for tenant in world.ledger.tenants.values():
            caller = Caller(world.fired, world.ledger, tenant.name, tenant.tenant_id)
            try:
                found += await check(caller, tenant)
            finally:
                await caller.close()
        return found

    return all_tenants


CHECKS: Mapping[str, Check] = {
    "messages": _of_tenants(messages.check),
    "unfinished answers": messages.unfinished,
    "Postgres, Kafka, ClickHouse, views": events.check,
    "documents": _of_tenants(documents.check),
    "passages, vectors, objects": documents.stores,
    "left in Postgres": orphans.postgres,
    "left in Kafka": orphans.kafka,
    "accounts of cells": orphans.accounts,
    "left in Milvus": orphans.milvus,
    "left on the machine": orphans.machine,
    "left in the router": orphans.routes,
}


async def check(
    fired: FiredOn,
    ledger: Ledger,
    *,
    settle: float = SETTLE_SECONDS,
    ignore: frozenset[Finding] = frozenset(),
    say: Callable[[str], None] = lambda _: None,
) -> list[Finding]:
    """What is wrong for good; nothing is the goal. Raises NotBack where a component does not serve any more.

    ``ignore`` is what ``left_over`` found before, on a platform that others use too.
    """
    await fired.all_ready()
    end = time.monotonic() + settle
    waiting, told = dict(CHECKS), ""
    while True:
        found: list[Finding] = []
        for name, one in list(waiting.items()):
            problems = set(await _asked(name, one, fired, ledger)) - ignore
            found += sorted(problems)
            if not problems:
                del waiting[name]
        if not waiting or time.monotonic() > end:
            break
        if told != (told := f"waits for {len(found)} things, such as: {found[0]}"):
            say(told)
        await asyncio.sleep(_PAUSE_SECONDS)
    if not waiting:
        found = [f for name, one in CHECKS.items() for f in await _asked(name, one, fired, ledger)]
    return sorted({*found, *(Finding("answers", "clients", text) for text in ledger.wrong)} - ignore)


async def left_over(fired: FiredOn, ledger: Ledger) -> frozenset[Finding]:
    """What there is to complain of now."""
    found: set[Finding] = set()
    for name, one in CHECKS.items():
        if name.startswith("left"):
            found.update(await _asked(name, one, fired, ledger))
    return frozenset(found)


async def _asked(name: str, one: Check, fired: FiredOn, ledger: Ledger) -> list[Finding]:
    try:
        return await one(await World.now(fired, ledger))
    except Exception as error:  # a store that does not answer cannot be said to agree
        return [Finding(name, "check", f"could not be asked: {type(error).__name__}: {error}"[:500])]
