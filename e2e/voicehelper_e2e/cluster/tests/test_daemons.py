"""Processes that outlive their starter, and strangers with the same number."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from voicehelper_cli.failures import Failure
from voicehelper_e2e.cluster.daemons import Daemons

SLEEPER = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)"]


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[Daemons]:
    found = Daemons(tmp_path / "run", tmp_path / "logs")
    yield found
    for name in found.names():
        found.stop(name)


def test_one_is_started_once_and_stopped(daemons: Daemons) -> None:
    assert daemons.start("one", SLEEPER)
    process = daemons.process("one")
    assert not daemons.start("one", SLEEPER)
    assert process is not None
    assert daemons.process("one") == process
    assert daemons.names() == ["one"]
    daemons.stop("one")
    assert not daemons.alive("one")
    assert daemons.names() == []


def test_one_that_ends_is_told_with_the_end_of_its_log(daemons: Daemons) -> None:
    daemons.start("one", [sys.executable, "-c", "print('broken')"])
    end = time.monotonic() + 10
    while daemons.alive("one") and time.monotonic() < end:
        time.sleep(0.02)
    with pytest.raises(Failure, match=r"one has ended(.|\n)*broken"):
        daemons.expect("one")


def test_a_stranger_with_the_same_number_is_left_alone(daemons: Daemons, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "one.json").write_text(json.dumps({"pid": os.getpid(), "began": 1.0}))
    assert not daemons.alive("one")
    daemons.stop("one")
    assert daemons.names() == []
