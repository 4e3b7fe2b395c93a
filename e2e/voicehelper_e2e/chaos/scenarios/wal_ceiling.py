"""Connect is away while more log is written than Postgres keeps: the slot is lost, and no event may be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from voicehelper_crds import Cell

from voicehelper_e2e.chaos.scenarios.stage import Scenario, Stage

CEILING_MB, SLACK_MB = 32, 128  # what Postgres keeps besides: min_wal_size, and what comes between checkpoints
_ROUNDS = 60
_SLOT = "SELECT wal_status, active FROM pg_replication_slots WHERE slot_name = 'voicehelper'"
_FILL = "SELECT count(pg_logical_emit_message(false, 'voicehelper-heartbeat', repeat('x', 1000000))) FROM generate_series(1, 8)"  # noqa: E501
_SIZE = "SELECT sum(size) / 1048576 FROM pg_ls_waldir()"
_SHOWN_SECONDS, _BACK_SECONDS = 90, 180


@asynccontextmanager
async def prepare(stage: Stage) -> AsyncIterator[None]:
    """A low ceiling, until the end."""
    await _set(stage, f"'{CEILING_MB}MB'")
    try:
        yield
    finally:
        await stage.cli("start", "connect", check=False)
        await _set(stage, "DEFAULT")


async def _set(stage: Stage, value: str) -> None:
    async with stage.fired.postgres() as connection:
        await connection.execute(f"ALTER SYSTEM SET max_slot_wal_keep_size = {value}")
        await connection.execute("SELECT pg_reload_conf()")


async def run(stage: Stage) -> None:
    """Stop Connect, write more than the ceiling, look at the condition, bring Connect back."""
    await stage.cli("stop", "connect")
    await asyncio.sleep(2)  # clients go on: their events are in the outboxes only
    largest = 0.0
    async with stage.fired.postgres() as connection:
        for _ in range(_ROUNDS):
            await connection.execute(_FILL)
            await connection.execute("CHECKPOINT")
            largest = max(largest, float(await connection.fetchval(_SIZE)))
            if (slot := await connection.fetchrow(_SLOT)) and slot["wal_status"] == "lost":
                break
        else:
            stage.expect(False, "the slot was not given up: the ceiling does not hold")
    stage.expect(largest <= CEILING_MB + SLACK_MB, f"{largest:.0f} MB of log at a ceiling of {CEILING_MB} MB")
    stage.facts["log at most"] = f"{largest:.0f} MB at a ceiling of {CEILING_MB} MB"
    shown = await stage.until(lambda: _condition(stage, "SlotLost"), "the condition SlotLost", _SHOWN_SECONDS)
    stage.facts["shown after"] = f"{shown:.0f} s"
    await asyncio.sleep(2)
    await stage.cli("start", "connect")

    async def follows() -> bool:
        async with stage.fired.postgres() as connection:
            slot = await connection.fetchrow(_SLOT)
            return bool(slot and slot["active"] and slot["wal_status"] != "lost")

    back = await stage.until(follows, "following the log again", _BACK_SECONDS)
    stage.facts["follows again after"] = f"{back:.0f} s"
    cleared = await stage.until(lambda: _condition(stage, "Following"), "the condition Following", _SHOWN_SECONDS)
    stage.facts["condition cleared after"] = f"{cleared:.0f} s"


async def _condition(stage: Stage, reason: str) -> bool:
    async with stage.fired.resources() as store:
        cells = await store.list(Cell)
    return any(c.type == "EventsStreaming" and c.reason == reason for cell in cells for c in cell.status.conditions)


SCENARIO = Scenario(
    "the log stayed below its ceiling, the lost slot was made anew by itself and no event was missing", run, prepare
)
