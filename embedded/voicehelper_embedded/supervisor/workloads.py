"""Cells on the operator's behalf: a closed set of requests, checked, then run like every other component (ADR 12)."""

from __future__ import annotations

import asyncio
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any

from voicehelper_core import names
from voicehelper_core.errors import InvalidArgument, NotFound

from voicehelper_embedded import files, ports, users
from voicehelper_embedded.context import Context
from voicehelper_embedded.supervisor import cells
from voicehelper_embedded.supervisor.cells import CellComponent, Run, Workload
from voicehelper_embedded.supervisor.supervisor import Supervisor
from voicehelper_embedded.supervisor.unit import Unit

MODULES = ("voicehelper_cell",)
RUN_SECONDS = 300
_STATES = {"waiting": "starting", "degraded": "starting", "stopping": "stopped"}


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
                elif not await asyncio.to_thread(cells.is_shared, self._context, workload.cell_id):
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
            "settled": state["state"] == "ready" and not unit.changing,
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
                await asyncio.to_thread(cells.share_objects, self._context, cell_id, None)

    async def run(self, name: str, step: Run) -> dict[str, Any]:
        """Run a step to its end as the cell's user; one at a time, since they share the file of their settings."""
        _check(name, step)
        async with self._locks.setdefault(f"{name} {step.command}", asyncio.Lock()):
            return await self._run(step)

    async def _run(self, step: Run) -> dict[str, Any]:
        user = await asyncio.to_thread(cells.owner, self._context, step.cell_id)
        what = cells.launch(
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
        finally:  # the workload runs as the same user and may not have a step's credentials (it could become an owner)
            Path(what.environment["VOICEHELPER_CONFIG"]).unlink(missing_ok=True)
        return {"status": done.returncode, "stdout": done.stdout[-10_000:], "stderr": done.stderr[-10_000:]}

    def _units(self) -> dict[str, Unit]:
        return {n: u for n, u in self._supervisor.units.items() if isinstance(u.component, CellComponent)}

    def _ports(self) -> list[int]:
        found = [unit.component for unit in self._units().values()]
        return [port for cell in found if isinstance(cell, CellComponent) for port in (cell.port, cell.grpc)]

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
