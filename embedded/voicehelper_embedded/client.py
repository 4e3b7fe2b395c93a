"""Speaks to a running supervisor; starts and ends one."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
from voicehelper_cli.failures import Failure

from voicehelper_embedded import files
from voicehelper_embedded.home import Home
from voicehelper_embedded.release import Release
from voicehelper_embedded.supervisor.process import Identity

_START_SECONDS = 30
_STOP_SECONDS = 90


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


def components(home: Home) -> dict[str, Any] | None:
    """What runs, or None without a supervisor."""
    answer: dict[str, Any] | None = call(home, "GET", "/components")
    return answer


def survivors(home: Home) -> list[tuple[str, Identity]]:
    """Processes of this home that live, supervised or not."""
    raw: dict[str, dict[str, Any]] = files.read_json(home.state / "processes.json", {})
    known = [(name, Identity(int(item["pid"]), float(item["created"]))) for name, item in raw.items()]
    return [(name, identity) for name, identity in known if identity.process() is not None]


def supervisors(home: Home) -> Iterator[psutil.Process]:
    """Supervisor processes of this home, whether they answer or not."""
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if "voicehelper_embedded.supervisor" in line and str(home.folder) in line:
            yield process


def start(home: Home, release: Release) -> None:
    """Start the supervisor of a release; one of another release hands its processes over. Raises Failure."""
    running = components(home)
    if running and running["release"] == release.id:
        return
    if running:
        call(home, "POST", "/stop", params={"keep": True})
    _await_end(home)
    log = home.logs / "supervisor.log"
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
    while components(home) is None:
        if child.poll() is not None or time.monotonic() > end:
            raise Failure(f"the supervisor did not start; the end of {log}:\n{_tail(log)}")
        time.sleep(0.1)


def _passed_on() -> dict[str, str]:
    wanted = ("JAVA_HOME", "VOICEHELPER_FAULT_POINTS", "VOICEHELPER_HOME")
    return {name: os.environ[name] for name in wanted if name in os.environ}


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
    left = [identity.process() for _, identity in survivors(home)]
    family = [member for process in left if process for member in (process, *process.children(recursive=True))]
    for survivor in left:
        if survivor:
            survivor.terminate()
    _, alive = psutil.wait_procs([process for process in left if process], timeout=15)
    for member in (*alive, *family):
        if member.is_running():
            member.kill()
    files.write_json(home.state / "processes.json", {})
    return count
