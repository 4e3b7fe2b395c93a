"""Cells on the operator's behalf: a closed set of requests, checked, then run like every other component (ADR 12)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from voicehelper_core import names
from voicehelper_core.errors import InvalidArgument, NotFound

from voicehelper_embedded import files, ports, users
from voicehelper_embedded.context import Context
from voicehelper_embedded.supervisor.process import Launch
from voicehelper_embedded.supervisor.supervisor import Supervisor
from voicehelper_embedded.supervisor.unit import Unit

MODULES = ("voicehelper_cell",)
RUN_SECONDS = 300
_STATES = {"waiting": "starting", "degraded": "starting", "stopping": "stopped"}


class Workload(BaseModel):
    """A cell's process."""

    model_config = ConfigDict(extra="forbid")

    cell_id: str = Field(pattern=names.ID.pattern)
    release: str = Field(pattern=r"^r[0-9a-f]{11}$")
    module: str
    config: dict[str, Any]


class Run(Workload):
    """A step that ends by itself."""

    command: str = Field(pattern=r"^migrate$")


class CellComponent:
    """A cell's process as the supervisor sees it."""

    requires: tuple[str, ...] = ("postgres", "kafka", "milvus", "inference")
    start_seconds = 90.0

    def __init__(self, context: Context, name: str, workload: Workload, http: int, grpc: int) -> None:
        self.name, self._context, self.workload = name, context, workload
        self.port, self.grpc = http, grpc

    async def prepare(self) -> Launch:
        cell_id = self.workload.cell_id
        user = await asyncio.to_thread(owner, self._context, cell_id)
        folder = cell_folder(self._context, cell_id, user)
        config = {
            "jwks_cache_file": str(folder / "jwks.json"),
            **self.workload.config,
            "http_port": self.port,
            "grpc_port": self.grpc,
        }
        await asyncio.to_thread(_share_objects, self._context, cell_id, user)
        return launch(self._context, workload=self.workload, command="serve", config=config, user=user)

    async def probe(self) -> str | None:
        return await self._context.http_ready(self.port)

    async def setup(self) -> None:
        """Nothing."""


def owner(context: Context, cell_id: str) -> str | None:
    """The cell's operating-system user; None without root."""
    if context.home.user is None:
        return None
    return users.ensure(names.os_user(cell_id), context.home.tag).pw_name


def _share_objects(context: Context, cell_id: str, group: str | None) -> None:
    """Let the operator (owner) and the cell (group) into the cell's folder, and nobody else.

    The folder's own mode keeps others out; within it what the cell makes is open (its umask is 0), so that the operator
    can remove it, and what the operator makes is open to the group. Without ``group`` all becomes the operator's, once
    the cell has ended. While the cell can write there, nothing is changed below the folder: it could place links.
    """
    folder, platform = context.home.objects / cell_id, context.home.user
    if group:
        folder.mkdir(parents=True, exist_ok=True)
    if platform is None or not folder.is_dir() or (group and _is_shared(context, cell_id)):
        return
    account, gid = pwd.getpwnam(platform), pwd.getpwnam(group or platform).pw_gid
    os.chown(folder, account.pw_uid, gid)
    folder.chmod(0o2770)
    for path in folder.rglob("*"):
        if path.is_symlink():
            continue
        os.chown(path, -1 if group else account.pw_uid, gid, follow_symlinks=False)
        path.chmod(0o2777 if path.is_dir() else 0o666)


def _is_shared(context: Context, cell_id: str) -> bool:
    """Whether the cell may enter its folder of objects (not when the operator has just made it again)."""
    if context.home.user is None:
        return True
    with contextlib.suppress(OSError, KeyError):
        return (context.home.objects / cell_id).stat().st_gid == pwd.getpwnam(names.os_user(cell_id)).pw_gid
    return False


def cell_folder(context: Context, cell_id: str, user: str | None) -> Path:
    """The cell's own folder for run-time files."""
    folder = context.home.run / "cells" / cell_id
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.parent.chmod(0o711)
    folder.mkdir(exist_ok=True)
    folder.chmod(0o700)
    if user:
        account = pwd.getpwnam(user)
        os.chown(folder, account.pw_uid, account.pw_gid)
    return folder


def launch(
    context: Context,
    *,
    workload: Workload,
    command: str,
    config: Mapping[str, Any],
    user: str | None,
) -> Launch:
    """The command line of a module of a release, with its configuration in a file that only its user reads."""
    path = cell_folder(context, workload.cell_id, user) / f"{command}.json"
    text = json.dumps(dict(config), indent=2, sort_keys=True)
    files.write(path, text, owner=user)
    release = context.home.releases / workload.release
    if not release.is_dir():
        raise RuntimeError(f"release {workload.release} is not installed")
    return Launch(
        argv=[str(context.release.python), "-m", workload.module, command],
        environment={
            **context.release.environment(),
            "PYTHONPATH": str(release),
            "VOICEHELPER_SERVICE_VERSION": f"0.1.0+{workload.release}",
            "VOICEHELPER_CONFIG": str(path),
            **context.fault_environment(),
        },
        user=user,
        umask=0o000 if user else 0o077,
        files={"config": text},
    )


class Workloads:
    """The operator's cells."""

    def __init__(self, context: Context, supervisor: Supervisor) -> None:
        self._context, self._supervisor = context, supervisor
        self._file = context.home.state / "workloads.json"
        self._locks: dict[str, asyncio.Lock] = {}

    def restore(self) -> None:
        """Keep the cells of the last supervisor running, with the control plane up or not."""
        for name, item in files.read_json(self._file, {}).items():
            component = CellComponent(self._context, name, Workload(**item["workload"]), item["http"], item["grpc"])
            self._supervisor.add(component)

    async def ensure(self, name: str, workload: Workload) -> dict[str, Any]:
        """Run it, or bring it up to date. Raises InvalidArgument."""
        _check(name, workload)
        async with self._locks.setdefault(name, asyncio.Lock()):
            unit = self._supervisor.units.get(name)
            if unit is None:
                taken = [*ports.load(self._context.home).values(), *self._ports()]
                http = ports.pick(taken)
                component = CellComponent(self._context, name, workload, http, ports.pick([*taken, http]))
                unit = self._supervisor.add(component)
                self._save()
            else:
                cell = unit.component
                assert isinstance(cell, CellComponent)
                if cell.workload != workload:
                    cell.workload = workload
                    self._save()
                    unit.refresh()
                elif not await asyncio.to_thread(_is_shared, self._context, workload.cell_id):
                    unit.refresh()
            return self.describe(name)

    def describe(self, name: str) -> dict[str, Any]:
        """State of one cell. Raises NotFound."""
        unit = self._units().get(name)
        if unit is None:
            raise NotFound(f"no workload '{name}'")
        cell = unit.component
        assert isinstance(cell, CellComponent)
        (state,) = self._supervisor.describe([name])
        return {
            **state,
            "state": _STATES.get(state["state"], state["state"]),
            "http": f"127.0.0.1:{cell.port}",
            "grpc": f"127.0.0.1:{cell.grpc}",
            "release": cell.workload.release,
        }

    def describe_all(self) -> list[dict[str, Any]]:
        """State of all cells."""
        return [self.describe(name) for name in self._units()]

    async def remove(self, name: str) -> None:
        """Stop it and remove its files and user; no error where there is none."""
        _check_name(name)
        async with self._locks.setdefault(name, asyncio.Lock()):
            await self._supervisor.remove(name)
            self._save()
            cell_id = name.removeprefix("cell-")
            shutil.rmtree(self._context.home.run / "cells" / cell_id, ignore_errors=True)
            if self._context.home.user:
                await asyncio.to_thread(users.remove, names.os_user(cell_id))
                await asyncio.to_thread(_share_objects, self._context, cell_id, None)

    async def run(self, name: str, step: Run) -> dict[str, Any]:
        """Run a step to its end as the cell's user."""
        _check(name, step)
        user = await asyncio.to_thread(owner, self._context, step.cell_id)
        what = launch(
            self._context,
            workload=step,
            command=step.command,
            config=step.config,
            user=user,
        )
        account = pwd.getpwnam(user) if user else None

        def call() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                list(what.argv),
                env=dict(what.environment),
                cwd="/",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=RUN_SECONDS,
                check=False,
                umask=what.umask,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )

        try:
            done = await asyncio.to_thread(call)
        except subprocess.TimeoutExpired:
            return {"status": 124, "stdout": "", "stderr": f"not done after {RUN_SECONDS} s"}
        return {"status": done.returncode, "stdout": done.stdout[-10_000:], "stderr": done.stderr[-10_000:]}

    def _units(self) -> dict[str, Unit]:
        return {n: u for n, u in self._supervisor.units.items() if isinstance(u.component, CellComponent)}

    def _ports(self) -> list[int]:
        cells = [unit.component for unit in self._units().values()]
        return [port for cell in cells if isinstance(cell, CellComponent) for port in (cell.port, cell.grpc)]

    def _save(self) -> None:
        saved = {}
        for name, unit in self._units().items():
            cell = unit.component
            assert isinstance(cell, CellComponent)
            saved[name] = {"workload": cell.workload.model_dump(), "http": cell.port, "grpc": cell.grpc}
        files.write_json(self._file, saved)


def _check_name(name: str) -> None:
    if not name.startswith("cell-") or not names.ID.match(name.removeprefix("cell-")):
        raise InvalidArgument("a workload is called cell-<id of the cell>")


def _check(name: str, workload: Workload) -> None:
    _check_name(name)
    if name != f"cell-{workload.cell_id}":
        raise InvalidArgument("the name and the cell's id disagree")
    if workload.module not in MODULES:
        raise InvalidArgument(f"only {', '.join(MODULES)} may be run")
