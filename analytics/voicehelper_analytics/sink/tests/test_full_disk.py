"""The disk fills up at any moment of an insert, and gets room: each event counts once, in the table and in the view."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from voicehelper_analytics.sink.tests.test_crashes import Runs

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts a small tmpfs"),
]
EVENTS, TIMES = 600, 30


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _fill(ballast: Path) -> None:
    """All but a few blocks, at once."""
    room = os.statvfs(ballast.parent)
    left = max(1, (room.f_bavail - random.choice((0, 0, 1, 3, 8, 20, 30))) * room.f_frsize)
    with ballast.open("wb") as file, contextlib.suppress(OSError):  # ClickHouse has taken some of it meanwhile
        os.posix_fallocate(file.fileno(), 0, left)


def test_a_disk_that_fills_up_and_gets_room(worker: Path, dsn: str, disk: Path, event: Callable[..., Any]) -> None:
    runs = Runs(worker, dsn, disk)
    runs.write([event(number).to_json() for number in range(EVENTS)])
    ballast = disk / "ballast"
    with subprocess.Popen(
        runs.command(), env=runs.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as sink:
        try:
            while not (disk / "clickhouse" / "store").exists():
                time.sleep(0.05)
            for _ in range(TIMES):
                time.sleep(random.random() * 0.4)
                _fill(ballast)
                time.sleep(random.random() * 0.3)
                ballast.unlink()
            out, errors = sink.communicate(timeout=120)
        finally:
            sink.kill()
    assert sink.returncode == 0, errors
    assert json.loads(out.splitlines()[-1]) == {
        "rows": EVENTS, "unique": EVENTS, "counted": EVENTS, "tokens": EVENTS // 2 * 10,
    }  # fmt: skip
