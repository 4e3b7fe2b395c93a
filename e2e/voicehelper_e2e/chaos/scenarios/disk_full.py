"""The disk of a store fills up under load and gets room again: Postgres, Kafka, Milvus, ClickHouse, objects in turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from voicehelper_e2e.chaos.platform import NotBack
from voicehelper_e2e.chaos.scenarios.prober import DEADLINE_SECONDS, Tries, probing
from voicehelper_e2e.chaos.scenarios.stage import Scenario, Stage
from voicehelper_e2e.chaos.scenarios.volumes import Volume, moved

SECONDS, FAST_SECONDS = 45.0, 15.0
STORES = ("postgres", "kafka", "milvus", "analytics", "objects")
_BACK_SECONDS = 170
_volumes: dict[str, Volume] = {}


@asynccontextmanager
async def prepare(stage: Stage) -> AsyncIterator[None]:
    """Each store's folder on a small volume, before the clients begin and until after the oracle has asked."""
    async with AsyncExitStack() as stack:
        for name in STORES:
            if stage.only in ("", name):
                stop = (
                    [name]
                    if name != "objects"
                    else sorted(n for n in await stage.fired.pids() if n.startswith("cell-"))
                )
                folder = stage.fired.platform.home / "data" / name
                _volumes[name] = await stack.enter_async_context(moved(stage, folder, stop=stop))
        await stage.fired.all_ready()
        yield


async def run(stage: Stage) -> None:
    """Fill one after the other, in an order that the seed draws."""
    names = [name for name in STORES if stage.only in ("", name)]
    stage.chance.shuffle(names)
    for name in names:
        await _fill(stage, name, FAST_SECONDS if stage.fast else SECONDS)


async def _fill(stage: Stage, name: str, seconds: float) -> None:
    volume = _volumes[name]
    async with probing(stage, stage.tenants[0]) as tries:
        await asyncio.to_thread(volume.fill)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(2)
            await asyncio.to_thread(volume.fill)  # what a store has removed meanwhile is taken too
        volume.free()
        freed = time.monotonic()
        try:
            await stage.fired.all_ready(_BACK_SECONDS)
        except NotBack as error:
            stage.expect(False, f"after room came back for {name}: {error}")
        back = time.monotonic() - freed
        for what in ("write", "upload"):
            await stage.until(lambda w=what: _done(tries, w, freed), f"{what} after {name} had room", _BACK_SECONDS)  # type: ignore[misc]
    hung = [one for one in tries.all if not one.status and one.detail.endswith("Timeout")]
    stage.expect(not hung, f"{len(hung)} requests had no answer in {DEADLINE_SECONDS:g} s while {name} was full")
    strange = [one for one in tries.all if one.status >= 500 and one.status not in (503, 504, 507)]
    stage.expect(not strange, f"while {name} was full: {strange[:1]}")
    told = sorted({one.detail for one in tries.all if one.status in (503, 507)})
    stage.facts[name] = f"all ready {back:.0f} s after room, {dict(tries.statuses())}, told: {told[:3]}"
    stage.say(f"{name}: {stage.facts[name]}")


async def _done(tries: Tries, what: str, since: float) -> bool:
    return any(one.status in (200, 201, 202) and one.what == what for one in tries.since(since))


SCENARIO = Scenario(
    "with each store's disk full in turn requests were refused clearly, nothing acknowledged was lost, all went on",
    run,
    prepare,
)
