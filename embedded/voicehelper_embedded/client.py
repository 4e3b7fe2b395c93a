"""Speaks to a running supervisor; starts and ends one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
from voicehelper_cli.failures import Failure

from voicehelper_embedded import files, ports
from voicehelper_embedded.context import FAULT_VARIABLES, TEST_VARIABLES
from voicehelper_embedded.home import Home
from voicehelper_embedded.release import Release
from voicehelper_embedded.supervisor import identity
from voicehelper_embedded.supervisor.identity import Identity
from voicehelper_embedded.supervisor.logfiles import rotate
from voicehelper_embedded.supervisor.process import FAKETIME_LIBRARY, clock_settings

_START_SECONDS = 30
_STOP_SECONDS = 90
_SURVIVOR_SECONDS = 15


def call(home: Home, method: str, path: str, timeout: float = 10, **arguments: Any) -> Any:
    """The JSON that the supervisor answers; None when no supervisor runs."""
    try:
        transport = httpx.HTTPTransport(uds=str(home.socket))
        with httpx.Client(transport=transport, base_url="http://supervisor", timeout=timeout) as client:
            answer = client.request(method, path, **arguments)
            answer.raise_for_status()
            return answer.json() if answer.content else {}
    except PermissionError:
        raise Failure(f"permission denied on {home.socket}: run this as the user that ran `voicehelper up`") from None
    except (httpx.TransportError, httpx.HTTPStatusError):
        return None


def components(home: Home, *, memory: bool = True) -> dict[str, Any] | None:
    """What runs, or None without a supervisor."""
    answer: dict[str, Any] | None = call(home, "GET", "/components", params={"memory": memory})
    return answer


def survivors(home: Home) -> list[tuple[str, Identity]]:
    """Processes of this home that live, supervised or not, in the order of their start."""
    raw: dict[str, dict[str, Any]] = files.read_json(home.state / "processes.json", {})
    known = [(name, Identity(int(item["pid"]), str(item["created"]))) for name, item in raw.items()]
    recorded = {pair[1].pid for pair in known}
    strays = [(name, found) for name, found in identity.marked(home.folder) if found.pid not in recorded]
    return [(name, found) for name, found in (*known, *strays) if found.alive()]


def supervisors(home: Home) -> Iterator[psutil.Process]:
    """Supervisor processes of this home, whether they answer or not."""
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if "voicehelper_embedded.supervisor" in line and str(home.folder) in line:
            yield process


def start(home: Home, release: Release) -> None:
    """Start the supervisor of a release; one with another release or settings hands over. Raises Failure."""
    running = components(home, memory=False)
    wanted = {"release": release.id, "ports": ports.load(home), "settings": home.settings}
    if running and all(running.get(name) == value for name, value in wanted.items()):
        return
    if running:
        call(home, "POST", "/stop", params={"keep": True})
    _await_end(home)
    log = home.logs / "supervisor.log"
    rotate(log)
    with log.open("ab") as output:
        child = subprocess.Popen(
            [str(release.python), "-m", "voicehelper_embedded.supervisor", str(home.folder)],
            env={**release.environment(), **_passed_on()},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    end = time.monotonic() + _START_SECONDS
    while components(home, memory=False) is None:
        if child.poll() is not None or time.monotonic() > end:
            raise Failure(f"the supervisor did not start; the end of {log}:\n{_tail(log)}")
        time.sleep(0.1)


def _passed_on() -> dict[str, str]:
    wanted = ("JAVA_HOME", "VOICEHELPER_HOME", FAKETIME_LIBRARY, *FAULT_VARIABLES, *TEST_VARIABLES)
    return {**{name: os.environ[name] for name in wanted if name in os.environ}, **clock_settings()}


def _await_end(home: Home) -> None:
    end = time.monotonic() + 10
    while any(True for _ in supervisors(home)):
        if time.monotonic() > end:
            for process in supervisors(home):
                process.kill()
        time.sleep(0.1)


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def stop(home: Home) -> int:
    """Stop the supervisor and everything it owns, or what a killed one left behind; how many processes ended."""
    count = len(survivors(home))
    if call(home, "POST", "/stop") is not None:
        end = time.monotonic() + _STOP_SECONDS
        while any(True for _ in supervisors(home)) and time.monotonic() < end:
            time.sleep(0.1)
    for process in supervisors(home):
        process.kill()
    _end_survivors(home)
    files.write_json(home.state / "processes.json", {})
    return count


def _end_survivors(home: Home) -> None:
    """End what a killed supervisor left behind: the stores last, with the signals that they were started for."""
    left = survivors(home)
    raw: dict[str, dict[str, Any]] = files.read_json(home.state / "processes.json", {})
    family = [m for _, i in left if (p := i.process()) for m in (p, *p.children(recursive=True))]
    stores = [pair for pair in left if pair[0] in ("postgres", "kafka", "milvus")]
    for group in ([pair for pair in left if pair not in stores], stores):
        for name, found in group:
            with contextlib.suppress(ProcessLookupError):
                os.kill(found.pid, int(raw.get(name, {}).get("stop_signal", signal.SIGTERM)))
        identity.wait([found for _, found in group], _SURVIVOR_SECONDS)
    for member in family:
        with contextlib.suppress(psutil.Error):
            member.kill()
