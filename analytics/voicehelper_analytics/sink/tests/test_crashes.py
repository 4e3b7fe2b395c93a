"""Kill -9 at every step of a batch, with real stores: each event is counted once, in the table and in the view."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

pytestmark = pytest.mark.integration
POINTS = ("sink.begin.before", "sink.begin.recorded", "sink.insert.effect", "sink.insert.recorded")
EVENTS = 40


class Runs:
    """Runs the sink over one log until it ends or dies."""

    def __init__(self, worker: Path, dsn: str, folder: Path) -> None:
        self._worker, self._dsn, self._folder = worker, dsn, folder
        self.log = folder / "log.jsonl"

    def write(self, values: list[str | None], *, first: dict[int, int] | None = None) -> None:
        lines: list[Any] = [{"first": first or {}}]
        lines += [{"partition": number % 3, "value": value} for number, value in enumerate(values)]
        self.log.write_text("\n".join(json.dumps(line) for line in lines))

    def command(self) -> list[str]:
        return [sys.executable, str(self._worker), self._dsn, str(self._folder / "clickhouse"), str(self.log)]

    def environment(self, faults: str = "") -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "VOICEHELPER_FAULT_POINTS": faults,
            "VOICEHELPER_ENVIRONMENT": "test",
        }

    def run(self, faults: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(), env=self.environment(faults), capture_output=True, text=True, timeout=300, check=False
        )

    def counts(self) -> dict[str, int]:
        done = self.run()
        assert done.returncode == 0, done.stderr
        counts: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
        return counts


@pytest.fixture
def runs(worker: Path, dsn: str, tmp_path: Path) -> Runs:
    return Runs(worker, dsn, tmp_path)


@pytest.fixture
def values(event: Callable[..., Any]) -> list[str | None]:
    """Forty events, some delivered twice or three times, some far apart; tombstones and garbage in between."""
    once = [event(number).to_json() for number in range(EVENTS)]
    again = [*once[:10], *once[5:8], once[-1]]
    mixed: list[str | None] = [*once, *again, None, None, "no event", '{"event_type": "unknown"}']
    random.Random(7).shuffle(mixed)
    return mixed


EXPECTED = {"rows": EVENTS, "unique": EVENTS, "counted": EVENTS, "tokens": EVENTS // 2 * 10}


async def letters(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM analytics.dead_letters"))
    finally:
        await connection.close()


async def test_without_a_crash(runs: Runs, values: list[str | None], dsn: str) -> None:
    runs.write(values)
    assert runs.counts() == EXPECTED
    assert await letters(dsn) == 4
    assert runs.counts() == EXPECTED


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("hit", [1, 3])
async def test_killed_once(runs: Runs, values: list[str | None], dsn: str, point: str, hit: int) -> None:
    runs.write(values)
    assert runs.run(f"{point}:{hit}").returncode == -signal.SIGKILL
    assert runs.counts() == EXPECTED
    assert await letters(dsn) == 4


async def test_killed_again_and_again(runs: Runs, values: list[str | None]) -> None:
    runs.write(values)
    for _ in range(3):
        for point in POINTS[1:]:
            assert runs.run(f"{point}:1").returncode == -signal.SIGKILL
    assert runs.counts() == EXPECTED


async def test_a_failure_begins_again_without_a_new_process(runs: Runs, values: list[str | None]) -> None:
    runs.write(values)
    done = runs.run("sink.begin.recorded:1=raise,sink.insert.effect:4=raise")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == EXPECTED


async def test_what_kafka_lost_is_recorded_and_the_rest_goes_on(
    runs: Runs, dsn: str, event: Callable[..., Any]
) -> None:
    values: list[str | None] = [event(number).to_json() for number in range(30)]
    runs.write(values)
    assert runs.run("sink.begin.recorded:2").returncode == -signal.SIGKILL
    runs.write(values, first={0: 9})  # partition 0 held the events 0, 3, 6, ...; its offsets 0 to 8 are gone
    counts = runs.counts()
    assert counts["rows"] == counts["unique"] == counts["counted"]
    connection = await asyncpg.connect(dsn)
    try:
        gaps = await connection.fetch("SELECT reason FROM analytics.dead_letters WHERE value IS NULL")
    finally:
        await connection.close()
    assert gaps
    assert all("no longer has" in row["reason"] for row in gaps)
