"""One component after the other hangs (SIGSTOP): requests are answered in time, and nothing grows without end."""

from __future__ import annotations

import asyncio
import time

import psutil

from voicehelper_e2e.chaos.platform import COMPONENTS, NotBack
from voicehelper_e2e.chaos.scenarios.prober import Tries, probing
from voicehelper_e2e.chaos.scenarios.stage import Scenario, Stage

SECONDS, FAST_SECONDS = 60.0, 10.0
GROWTH_MB = 300
"""What the memory of another component may grow by meanwhile."""
_BACK_SECONDS = 150


async def run(stage: Stage) -> None:
    """Freeze each component, or only ``stage.only``, in an order that the seed draws."""
    cell = f"cell-{stage.ledger.tenants[stage.tenants[0]].cell_id}"
    names = [*COMPONENTS, cell]
    stage.chance.shuffle(names)
    for name in names:
        if not stage.only or name.startswith(stage.only):
            await _freeze(stage, name, FAST_SECONDS if stage.fast else SECONDS)


async def _freeze(stage: Stage, name: str, seconds: float) -> None:
    before, memory = (await stage.fired.pids())[name], await _memory(stage)
    async with probing(stage, stage.tenants[0]) as tries:
        await stage.fired.freeze(name, seconds)
        thawed = time.monotonic()
        try:
            await stage.fired.ready(name, seconds=_BACK_SECONDS)
        except NotBack as error:
            stage.expect(False, str(error))
        back = time.monotonic() - thawed
        await stage.until(lambda: _served(tries, thawed), f"a write after {name} was thawed", _BACK_SECONDS)
    replaced = (await stage.fired.pids()).get(name) != before
    grown = {n: after - memory[n] for n, after in (await _memory(stage)).items() if n in memory and n != name}
    worst = max(grown, key=lambda item: grown[item])
    stage.expect(grown[worst] < GROWTH_MB, f"{worst} grew by {grown[worst]:.0f} MB while {name} was frozen")
    if name != "router":  # who else should answer?
        hung = [one for one in tries.all if not one.status and one.detail.endswith("Timeout")]
        stage.expect(not hung, f"{len(hung)} requests had no answer in time while {name} was frozen")
    strange = [one for one in tries.all if one.status >= 500 and one.status not in (503, 504)]
    stage.expect(not strange, f"while {name} was frozen: {strange[:1]}")
    what = "started again" if replaced else "waited for"
    stage.facts[name] = f"{what}, back {back:.0f} s after; slowest answer {tries.slowest()} s, {dict(tries.statuses())}"
    stage.say(f"{name}: {stage.facts[name]}")
    await stage.fired.all_ready()


async def _served(tries: Tries, since: float) -> bool:
    return any(one.status in (200, 201) and one.what == "write" for one in tries.since(since))


async def _memory(stage: Stage) -> dict[str, float]:
    """Resident MB by component."""

    def measure(pids: dict[str, int]) -> dict[str, float]:
        found = {}
        for name, pid in pids.items():
            try:
                found[name] = psutil.Process(pid).memory_info().rss / 2**20
            except psutil.Error:
                continue
        return found

    return await asyncio.to_thread(measure, await stage.fired.pids())


SCENARIO = Scenario(
    "with each component frozen in turn every request was answered in time, memory stayed bounded, all went on", run
)
