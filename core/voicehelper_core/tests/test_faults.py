"""Fault points do what they are told, and nothing in production."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from voicehelper_core import faults
from voicehelper_core.settings import BaseAppSettings

PROGRAM = """
import asyncio
from voicehelper_core import faults

async def main():
    for number in range(5):
        await faults.point("here")
        print(number, flush=True)

asyncio.run(main())
"""


def run(points, environment="test"):
    variables = {
        **os.environ,
        "PYTHONPATH": ":".join(sys.path),
        "VOICEHELPER_FAULT_POINTS": points,
        "VOICEHELPER_ENVIRONMENT": environment,
    }
    result = subprocess.run([sys.executable, "-c", PROGRAM], env=variables, capture_output=True, text=True, check=False)
    return result.returncode, [line for line in result.stdout.split("\n") if line.isdigit()]


def test_kill():
    assert run("here") == (-signal.SIGKILL, [])
    assert run("there, here:3") == (-signal.SIGKILL, ["0", "1"])


def test_nothing_without_configuration_or_in_production():
    everything = ["0", "1", "2", "3", "4"]
    assert run("") == (0, everything)
    assert run("there") == (0, everything)
    assert run("here", environment="prod") == (0, everything)


@pytest.fixture
def points():
    def load(text, environment="test"):
        faults.load(BaseAppSettings(fault_points=text, environment=environment))

    yield load
    faults.load(BaseAppSettings(fault_points=""))


async def test_raise_on_a_hit(points):
    points("step:2=raise")
    await faults.point("step")
    with pytest.raises(faults.FaultError, match="step"):
        await faults.point("step")
    await faults.point("step")


async def test_sleep(points, monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(faults.asyncio, "sleep", sleep)
    points("step=sleep:250")
    await faults.point("step")
    await faults.point("other")
    assert slept == [0.25]


@pytest.mark.parametrize("text", ["a=explode", "a:x", "=raise", ":3", "a=sleep:x"])
def test_a_mistyped_fault_is_refused(text):
    with pytest.raises(ValueError, match=r"fault points|invalid literal"):
        faults.parse(text)
