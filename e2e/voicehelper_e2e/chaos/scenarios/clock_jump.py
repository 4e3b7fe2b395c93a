"""The platform's clock jumps an hour ahead and back, and an hour back and ahead, while everything runs.

The machine's own clock is never touched: the platform is started under libfaketime (Debian: faketime), which reads the
offset from a file, so that running processes jump together. Monotonic clocks do not jump, as in life.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from voicehelper_embedded import preflight
from voicehelper_embedded.supervisor.process import FAKETIME_LIBRARY

from voicehelper_e2e.chaos.scenarios.prober import Tries, probing
from voicehelper_e2e.chaos.scenarios.stage import Scenario, Stage

SECONDS, FAST_SECONDS = 60.0, 20.0
JUMPS = ("+3600", "+0", "-3600", "+0")
TOKEN_SECONDS = 4 * 3600
_FILE = "clock"
_BACK_SECONDS = 120


def _needs() -> list[preflight.Need]:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    return [preflight.Need("libfaketime", "faketime", str(library) if library else None, "clocks that jump")]


def environment(folder: Path) -> dict[str, str]:
    """Envoy and the JVMs keep the machine's time: see docs/chaos-scenarios.md. Raises Failure without libfaketime."""
    preflight.provide(lambda text: print(text, flush=True), _needs)
    path = folder / _FILE
    path.write_text("+0\n")
    path.chmod(0o644)
    return {
        FAKETIME_LIBRARY: str(_needs()[0].found),
        "FAKETIME_TIMESTAMP_FILE": str(path),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
    }


@asynccontextmanager
async def prepare(stage: Stage) -> AsyncIterator[None]:
    """Tokens that last, since Envoy's clock does not jump with those who make them; the right time at the end."""
    assert "FAKETIME_TIMESTAMP_FILE" in stage.fired.platform.environment, "the platform does not run under faketime"
    own = stage.fired.platform.home / "settings.json"
    own.write_text(json.dumps({"control-plane": {"identity": {"token_seconds": TOKEN_SECONDS}}}))
    if (kill := await stage.fired.kill("control-plane")) is not None:
        await stage.fired.returned(kill)
    try:
        yield
    finally:
        _set(stage, "+0")
        own.unlink()


async def run(stage: Stage) -> None:
    """All jumps, in an order that the seed draws: ahead first or back first."""
    jumps = list(JUMPS) if stage.chance.random() < 0.5 else [JUMPS[at] for at in (2, 3, 0, 1)]
    for jump in jumps:
        _set(stage, jump)
        jumped = time.monotonic()
        async with probing(stage, stage.tenants[0]) as tries:  # with a token of the new time
            await asyncio.sleep(FAST_SECONDS if stage.fast else SECONDS)
            what = f"a write after the jump to {jump}"
            waited = await stage.until(lambda: _served(tries, jumped), what, _BACK_SECONDS)  # noqa: B023
        strange = [one for one in tries.all if one.status >= 500]
        stage.expect(not strange, f"after the jump to {jump}: {strange[:1]}")
        async with stage.fired.postgres() as connection:
            seen = await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())")
        stage.expect(abs(float(seen) - time.time() - int(jump)) < 60, f"Postgres did not jump to {jump}")
        stage.facts[f"jump to {jump}"] = f"{dict(tries.statuses())}"
        stage.say(f"jump to {jump}: {dict(tries.statuses())}, writes after {waited:.1f} s more")
    await stage.fired.all_ready()


def _set(stage: Stage, offset: str) -> None:
    path = Path(stage.fired.platform.environment["FAKETIME_TIMESTAMP_FILE"])
    path.write_text(f"{offset}\n")


async def _served(tries: Tries, since: float) -> bool:
    return any(one.status in (200, 201) and one.what == "write" for one in tries.since(since))


SCENARIO = Scenario(
    "the clock jumped an hour both ways and nothing was lost, doubled, refused for good or out of reach",
    run,
    prepare,
    environment,
)
