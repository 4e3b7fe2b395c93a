"""Plays a scenario: tenants, clients, harm, rest, oracle, verdict."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Callable, Sequence

from voicehelper_e2e.chaos import oracle
from voicehelper_e2e.chaos.campaign import raised
from voicehelper_e2e.chaos.clients import working
from voicehelper_e2e.chaos.ledger import Ledger
from voicehelper_e2e.chaos.oracle import Finding
from voicehelper_e2e.chaos.platform import FiredOn
from voicehelper_e2e.chaos.scenarios import SCENARIOS
from voicehelper_e2e.chaos.scenarios.stage import Stage, Verdict

CALM_SECONDS = 3.0
MOST_SECONDS = 1800.0
"""No scenario takes longer, whatever hangs."""


async def play(
    name: str, fired: FiredOn, tenants: Sequence[str], *, seed: int, fast: bool, only: str = "", settle: float = 180.0,
    say: Callable[[str], None] = print, ledger: Ledger,
) -> Verdict:  # fmt: skip
    """The verdict on a platform that serves the tenants. Raises KeyError for a scenario that does not exist.

    ``ledger`` is what earlier scenarios left in the same tenants: the oracle would not know it otherwise.
    """
    scenario, begun = SCENARIOS[name], time.monotonic()
    stage = Stage(fired, seed, fast, list(tenants), say, only, ledger)
    findings: list[Finding] = []
    try:
        async with asyncio.timeout(MOST_SECONDS):
            await fired.all_ready()
            before = await oracle.left_over(fired, stage.ledger)
            async with scenario.prepare(stage):
                chosen = zlib.crc32(f"{seed}:{name}:{only}".encode())  # keys of one scenario are not those of another
                async with working(fired, tenants, chosen, writers=1, ledger=stage.ledger):
                    await asyncio.sleep(CALM_SECONDS)
                    await scenario.run(stage)
                    await asyncio.sleep(CALM_SECONDS)
                say(f"{name}: clients rest; the stores are compared")
                findings = await oracle.check(fired, stage.ledger, settle=settle, ignore=before, say=say)
    except Exception as error:  # whatever a store or a client raises, the promise was not kept
        for one in raised(error):
            stage.expect(False, f"{type(one).__name__}: {one}")
    stage.facts["questions"] = stage.ledger.acknowledged()["questions"]
    seconds = time.monotonic() - begun
    return Verdict(name, seed, scenario.promise, stage.facts, stage.problems, findings, seconds)
