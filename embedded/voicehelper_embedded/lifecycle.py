"""``up``, ``down`` and ``clean`` of a home."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from voicehelper_cli.failures import Failure

from voicehelper_embedded import client, credentials, files, jvm, ports, preflight, release, users
from voicehelper_embedded.home import Home
from voicehelper_embedded.progress import Progress

_READY_SECONDS = 420
_CELLS_SECONDS = 45
_RESTARTS = 7  # about half a minute of tries
_UNSAFE = {Path("/"), Path("/var"), Path("/var/lib"), Path("/home"), Path("/root"), Path("/tmp"), Path.home()}  # noqa: S108


def up(home: Home, progress: Progress) -> None:
    """Start everything that does not run, and wait until all of it is ready. Raises Failure."""
    _refuse_foreign(home)
    with progress.stage("machine checked"):
        preflight.provide(progress.say)
        home.make()
    with _alone(home, progress):
        _up(home, progress)


@contextlib.contextmanager
def _alone(home: Home, progress: Progress) -> Iterator[None]:
    """One `up` at a time; a second one waits and then finds everything running."""
    with (home.state / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say("another `voicehelper up` is at work: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _up(home: Home, progress: Progress) -> None:
    with progress.stage("ports and secrets"):
        running = [identity.pid for _, identity in client.survivors(home)]
        assigned, moved = ports.assign(home, [*running, *_descendants(running)])
        for item in moved:
            progress.say(f"port {item.wanted} ({item.name}) is taken by {item.holder}: using {item.taken} instead")
        credentials.ensure(home, assigned)
    with progress.stage("release copied"):
        current = release.build(home, progress.say)
        described = {"id": current.id, "path": current.path, "python": current.python}
        files.write_json(home.state / "release.json", described)
        client.start(home, current)
        for item in (client.components(home, memory=False) or {"components": []})["components"]:
            if item["state"] == "held":
                client.call(home, "POST", f"/components/{item['name']}/start")
    problems: list[str] = []
    fetching = threading.Thread(target=_fetch, args=(home, progress, problems))
    fetching.start()
    try:
        _await_components(home, progress, problems)
    finally:
        fetching.join()
    _await_cells(home, progress, current.id)
    _forget_old_releases(home, current.id)
    files.write_json(home.state / "up.json", {"stages": progress.seconds, "total": round(progress.elapsed, 1)})


def _fetch(home: Home, progress: Progress, problems: list[str]) -> None:
    try:
        jvm.fetch(home, progress.say)
    except Exception as error:
        problems.append(str(error))


def _await_components(home: Home, progress: Progress, problems: list[str]) -> None:
    shown: set[str] = set()
    told: set[tuple[str, str]] = set()
    troubles: set[tuple[str, str]] = set()
    before: dict[str, int] = {}
    end = time.monotonic() + _READY_SECONDS
    begun = time.monotonic()
    while True:
        described = client.components(home, memory=False)
        if described is None:
            raise Failure(f"the supervisor ended: see {home.logs / 'supervisor.log'}")
        listed: list[dict[str, Any]] = described["components"]
        before = before or {item["name"]: item["restarts"] for item in listed}
        for item in listed:
            if item["state"] == "ready" and item["name"] not in shown and not item["name"].startswith("cell-"):
                shown.add(item["name"])
                progress.seconds[item["name"]] = round(time.monotonic() - begun, 1)
                progress.say(
                    f"{item['name']} is ready after {progress.seconds[item['name']]:.1f} s (port {item['port']})"
                )
        open_ones = [i for i in listed if i["state"] != "ready" and not i["name"].startswith("cell-")]
        if not open_ones:
            return
        if problems:
            raise Failure(problems[0])
        troubles.update({(i["name"], i["message"].partition("; starts again")[0]) for i in open_ones if _in_trouble(i)})
        for name, message in sorted(troubles - told):
            progress.say(f"{name}: {message}")
        told |= troubles
        broken = [item for item in open_ones if item["restarts"] - before.get(item["name"], 0) > _RESTARTS]
        if broken or time.monotonic() > end:
            lines = [f"  {i['name']}: {i['state']}: {i['message']}" for i in broken or open_ones]
            raise Failure("\n".join(["not everything became ready:", *lines, f"logs: {home.logs}"]))
        progress.now("; ".join(f"{i['name']}: {i['message'] or i['state']}" for i in open_ones[:3]))
        time.sleep(0.2)


def _in_trouble(item: dict[str, Any]) -> bool:
    return bool(item["state"] == "backoff" and item["restarts"] > 1)


def _await_cells(home: Home, progress: Progress, current: str) -> None:
    """Cells that were there before: wait until they answer, and until the operator has moved them to this release."""

    def late() -> list[str]:
        found: list[dict[str, Any]] = client.call(home, "GET", "/workloads") or []
        return [item["name"] for item in found if item["state"] != "ready" or item["release"] != current]

    if not late():
        return
    with progress.stage("cells answer and run this release"):
        end = time.monotonic() + _CELLS_SECONDS
        while (waiting := late()) and time.monotonic() < end:
            progress.now(f"waits for {', '.join(waiting)}")
            time.sleep(0.2)
    if waiting:  # a cell may be pinned to another release, or be broken: its conditions say which
        progress.say(f"not on this release or not ready yet: {', '.join(waiting)} (see `voicehelper get cells`)")


def _descendants(pids: list[int]) -> list[int]:
    import psutil

    found: list[int] = []
    for pid in pids:
        try:
            found += [child.pid for child in psutil.Process(pid).children(recursive=True)]
        except psutil.Error:
            continue
    return found


def _refuse_foreign(home: Home) -> None:
    if home.folder in _UNSAFE:
        raise Failure(f"{home.folder} cannot be a platform's home: choose a folder of its own")
    if home.folder.exists() and not os.access(home.folder, os.W_OK):
        raise Failure(f"no permission to write in {home.folder}: it belongs to {home.folder.owner()}")


def _forget_old_releases(home: Home, current: str) -> None:
    """Keep what runs and the newest few."""
    used = {
        current,
        *(
            process["workload"]["release"]
            for processes in files.read_json(home.state / "cells.json", {}).values()
            for process in processes
        ),
    }
    old = sorted((p for p in home.releases.iterdir() if p.name not in used), key=lambda p: p.stat().st_mtime)
    for path in old[:-3]:
        shutil.rmtree(path, ignore_errors=True)


def down(home: Home) -> int:
    """Stop everything; how many processes ended."""
    return client.stop(home) if home.folder.exists() else 0


def clean(home: Home) -> bool:
    """Stop everything and remove data, users and the home itself; False when there was nothing."""
    if not home.folder.exists():
        return False
    if home.folder in _UNSAFE or not (home.folder / "state").is_dir():
        raise Failure(f"{home.folder} does not look like a platform's home: nothing was removed")
    client.stop(home)
    shutil.rmtree(home.folder)
    if home.user:
        for name in (*users.of_platform(home.tag), home.user):
            users.remove(name)
    return True
