"""Files, processes and sockets of one machine, as the operating-system user of another cell; names of objects."""

from __future__ import annotations

import asyncio
import json
import pwd
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicehelper_core import names

from voicehelper_cli.isolation.attack import Recorder, attack
from voicehelper_cli.isolation.model import FOREIGN_USER, NEIGHBOUR
from voicehelper_cli.isolation.stores import reader

if TYPE_CHECKING:
    from voicehelper_cli.isolation.arena import Arena


def _targets(arena: Arena) -> dict[str, Any]:
    home, victim = arena.places.home, arena.victim.cell_id
    assert home is not None
    objects, run = home / "data" / "objects" / victim, home / "run" / "cells" / victim
    document = objects / arena.victim.tenant_id / "documents" / arena.facts["document_id"]
    kept = [path for path in document.rglob("*") if path.is_file()]
    if not kept:
        raise AssertionError("the victim's document has no object")
    private = [home / name for name in ("state", "secrets", "logs", "run")]
    folders = [home, *private, *home.joinpath("data").iterdir(), objects, objects / arena.victim.tenant_id, run]
    files = [path for folder in (*private, run) for path in folder.iterdir() if path.is_file()]
    return {
        "folders": [str(path) for path in folders],
        "files": [str(path) for path in (*kept, *files)],
        "sockets": [str(arena.places.supervisor_socket), str(home / "data" / "router" / "admin.sock")],
        "processes": _processes(str(home), names.os_user(arena.stranger.cell_id)),
        "walk": [str(path) for path in (home / "data", *private)],
    }


def _wide(home: Path) -> list[str]:
    """Secrets that more than their user may read."""
    paths = (home / "secrets", *home.joinpath("secrets").iterdir(), *home.joinpath("run").rglob("*.json"))
    return [f"{path.name} {path.stat().st_mode & 0o777:o}" for path in paths
            if path.stat().st_mode & 0o077 and path.name != "jwks.json"]  # fmt: skip


def _processes(home: str, but: str) -> list[int]:
    """Pids of the platform's processes of other users."""
    import psutil

    mark = f"VOICEHELPER_SUPERVISED={home}:"
    found = []
    for process in psutil.process_iter(["username", "environ"]):
        variables = process.info["environ"] or {}
        if process.info["username"] != but and any(f"{k}={v}".startswith(mark) for k, v in variables.items()):
            found.append(process.pid)
    return found


def as_cell(arena: Arena, program: str, given: Any) -> Any:
    """Run a program of Python as the user of the stranger's cell; what it prints as JSON."""
    account = pwd.getpwnam(names.os_user(arena.stranger.cell_id))
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], input=json.dumps(given), capture_output=True, text=True, timeout=60,
        check=False, cwd="/", env={"PATH": "/usr/bin:/bin"}, user=account.pw_uid, group=account.pw_gid, extra_groups=[],
    )  # fmt: skip
    if done.returncode != 0:
        raise AssertionError(f"the reader ended with {done.returncode}: {done.stderr[-500:]}")
    return json.loads(done.stdout)


@attack("files.machine", surface="files", needs=("stranger",), seconds=120)
async def machine(arena: Arena, tried: Recorder) -> None:
    """Objects, secrets, logs, sockets and processes, as the operating-system user of another cell."""
    if not arena.root or arena.places.home is None:
        reason = "only root can act as a cell's user; without root all processes run as one user"
        tried.not_run("be the user of another cell", by=FOREIGN_USER, finding="files.machine", reason=reason)
        return
    given = await asyncio.to_thread(_targets, arena)
    wide = await asyncio.to_thread(_wide, arena.places.home)
    what, reason = "modes of the files below secrets", "others may read them; only the folder keeps them out"
    if wide:
        tried.weakened(what, wide, by=FOREIGN_USER, finding="files.secrets", reason=reason)
    else:
        tried.held(what, "nobody but their user", by=FOREIGN_USER, finding="files.secrets")
    program = Path(reader.__file__).read_text()
    found: dict[str, list[str]] = await asyncio.to_thread(as_cell, arena, program, given)
    readable = [path for path in json.loads(found.pop("walk")[1]) if f"/{arena.stranger.cell_id}/" not in path]
    for what, (said, answer) in found.items():
        finding = _finding(what, str(arena.places.home), arena.victim.cell_id)
        if what.startswith("command line"):
            secrets = [word for party in (arena.victim,) for word in party.store_credentials.values() if word in answer]
            reason = "a command line shows a password"
            tried.expect(not secrets, what, answer, by=FOREIGN_USER, finding="files.processes", reason=reason)
        else:
            tried.expect(
                said == "no", what, answer, by=FOREIGN_USER, finding=finding, reason="it was allowed", sent=what
            )
    what, reason = "look for readable files below data, run, secrets, logs, state", "files can be read"
    tried.expect(not readable, what, readable, by=FOREIGN_USER, finding="files.machine", reason=reason)


def _finding(what: str, home: str, cell_id: str) -> str:
    for part, finding in ((f"{home}/data/objects", "files.objects"), (f"{home}/secrets", "files.secrets"),
                          (f"{home}/run/cells/{cell_id}", "files.run"), ("/proc/", "files.processes"),
                          ("signal", "files.processes"), (".sock", "files.socket")):  # fmt: skip
        if part in what:
            return finding
    return "files.machine"


_NAMES = (
    "../../{cell}/{tenant}/documents/{document}/1",
    "..%2f..%2f{tenant}%2fdocuments%2f{document}",
    "/{tenant}/documents/{document}",
    "....//....//{tenant}",
    "{document}\\..\\..\\{tenant}",
    "documents/{document}%00.md",
)


@attack("files.names", surface="objects")
async def object_names(arena: Arena, tried: Recorder) -> None:
    """Paths that lead elsewhere, in ids and names of documents through the API."""
    objects = arena.places.objects_root
    watched = objects / arena.victim.cell_id if objects and arena.root else None
    before = await asyncio.to_thread(_tree, watched, arena.neighbour.tenant_id)
    values = {"cell": arena.victim.cell_id, "tenant": arena.victim.tenant_id, "document": arena.facts["document_id"]}
    headers = await arena.neighbour.headers()
    for pattern in _NAMES:
        name = pattern.format(**values)
        path = f"/api/v1/knowledge/documents/{name}/content"
        answer = await arena.neighbour.http.get(path, headers=headers)
        fine = 400 <= answer.status_code < 500
        reason = f"answered {answer.status_code}"
        tried.expect(fine, f"GET {path}", answer.text, by=NEIGHBOUR, finding="files.names", reason=reason, sent=path)
        body = {"title": name, "external_id": name, "content": "nothing"}
        answer = await arena.neighbour.http.post("/api/v1/knowledge/documents", headers=headers, json=body)
        what = f"POST a document called {name}"
        reason = f"answered {answer.status_code}"
        fine = answer.status_code < 500
        tried.expect(fine, what, answer.text, by=NEIGHBOUR, finding="files.names", reason=reason, sent=json.dumps(body))
    if watched:
        changed = sorted(before ^ await asyncio.to_thread(_tree, watched, arena.neighbour.tenant_id))
        what, reason = (
            "objects of the cell outside of the neighbour's prefix, before and after",
            "a file was made there",
        )
        mine = [path for path in changed if arena.victim.tenant_id in path or ".." in path]
        tried.expect(not mine, what, mine, by=NEIGHBOUR, finding="files.names", reason=reason)


def _tree(folder: Path | None, but: str) -> set[str]:
    if folder is None:
        return set()
    return {str(path) for path in folder.rglob("*") if f"/{but}/" not in f"{path}/"}
