"""Cells on the operator's behalf: a closed set of requests, checked, then run like every other component (ADR 12)."""

from __future__ import annotations

import asyncio
import pwd
import shutil
import subprocess
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from voicehelper_core import names
from voicehelper_core.errors import InvalidArgument, NotFound

from voicehelper_embedded import files, ports, users
from voicehelper_embedded.context import Context
from voicehelper_embedded.supervisor import cells, pairs
from voicehelper_embedded.supervisor.cells import CellComponent, Run, Step, Workload
from voicehelper_embedded.supervisor.pairs import Processes
from voicehelper_embedded.supervisor.supervisor import Supervisor
from voicehelper_embedded.supervisor.unit import Unit

MODULES = ("voicehelper_cell",)
RUN_SECONDS = 300
_STATES = {"waiting": "starting", "degraded": "starting", "stopping": "stopped"}


class Workloads:
    """The operator's cells."""

    def __init__(self, context: Context, supervisor: Supervisor) -> None:
        self._context, self._supervisor = context, supervisor
        self._file = context.home.state / "cells.json"
        self._cells: dict[str, Processes] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def restore(self) -> None:
        """Keep the cells of the last supervisor running, with the control plane up or not."""
        for name, saved in files.read_json(self._file, {}).items():
            by_role: dict[str, list[Unit]] = {"serving": [], "next": [], "leaving": []}
            for item in saved:
                workload = Workload(**item["workload"])
                made = CellComponent(self._context, item["name"], workload, item["http"], item["grpc"])
                made.alone = item.get("alone", len(saved) == 1)
                by_role[item["role"]].append(self._supervisor.add(made))
            (serving,) = by_role["serving"]
            cell = self._cells[name] = Processes(serving, next(iter(by_role["next"]), None), by_role["leaving"])
            if cell.next is not None and not pairs.component(cell.next).workload.beside:
                self._follow(cell.next, self._promote(name, cell.next))
            for unit in cell.leaving:
                self._follow(unit, self._retire(name, unit))

    async def ensure(self, name: str, workload: Workload) -> dict[str, Any]:
        """Run it, or bring it up to date. Raises InvalidArgument."""
        _check(name, workload)
        async with self._locks.setdefault(name, asyncio.Lock()):
            cell = self._cells.get(name)
            if cell is None:
                self._cells[name] = Processes(self._start(name, workload, alone=True))
            elif pairs.needs_another(cell.serving, workload):
                await self._beside(name, cell, workload)
            else:
                await self._drop_next(name, cell)
                await self._refresh(cell.serving, workload)
            self._save()
            return self.describe(name)

    async def _beside(self, name: str, cell: Processes, workload: Workload) -> None:
        if cell.next is not None and pairs.component(cell.next).workload.release != workload.release:
            await self._drop_next(name, cell)
        if cell.next is None:
            cell.next = self._start(cell.free_name(name), workload, alone=False)
        else:
            await self._refresh(cell.next, workload)
        self._unfollow(cell.next)
        if not workload.beside and pairs.answers(cell.next):
            self._take_over(name, cell, cell.next)
        elif not workload.beside:
            self._follow(cell.next, self._promote(name, cell.next))

    async def _refresh(self, unit: Unit, workload: Workload) -> None:
        component = pairs.component(unit)
        same, component.workload = component.workload.runs_like(workload), workload
        if not same or not await asyncio.to_thread(cells.is_shared, self._context, workload.cell_id):
            unit.refresh()

    async def _drop_next(self, name: str, cell: Processes) -> None:
        """What was to come does not. Where it answers, requests may be in it, and are not cut off."""
        if cell.next is None:
            return
        dropped, cell.next = cell.next, None
        self._unfollow(dropped)
        if pairs.component(dropped).workload.beside and pairs.answers(dropped):
            cell.leaving.append(dropped)
            self._follow(dropped, self._retire(name, dropped))
        else:
            await self._supervisor.remove(dropped.component.name)

    async def _promote(self, name: str, unit: Unit) -> None:
        """Once it is ready, it serves, and what served leaves."""
        await unit.ready.wait()
        async with self._locks.setdefault(name, asyncio.Lock()):
            cell = self._cells.get(name)
            if cell is None or cell.next is not unit:
                return
            self._take_over(name, cell, unit)
            self._save()

    def _take_over(self, name: str, cell: Processes, unit: Unit) -> None:
        cell.leaving.append(cell.serving)
        cell.serving, cell.next = unit, None
        self._follow(cell.leaving[-1], self._retire(name, cell.leaving[-1]))

    async def _retire(self, name: str, unit: Unit) -> None:
        await pairs.left(unit)
        async with self._locks.setdefault(name, asyncio.Lock()):
            await self._supervisor.remove(unit.component.name)
            cell = self._cells.get(name)
            if cell is not None and unit in cell.leaving:
                cell.leaving.remove(unit)
                pairs.component(cell.serving).alone = not cell.leaving
                self._save()

    def _follow(self, unit: Unit, job: Coroutine[Any, Any, None]) -> None:
        self._tasks[unit.component.name] = asyncio.create_task(job, name=f"follows {unit.component.name}")

    def _unfollow(self, unit: Unit) -> None:
        if task := self._tasks.pop(unit.component.name, None):
            task.cancel()

    def _start(self, unit: str, workload: Workload, *, alone: bool) -> Unit:
        taken = [*ports.load(self._context.home).values(), *self._ports()]
        http = ports.pick(taken)
        component = CellComponent(self._context, unit, workload, http, ports.pick([*taken, http]))
        component.alone = alone
        return self._supervisor.add(component)

    def describe(self, name: str) -> dict[str, Any]:
        """State of one cell: of what serves, with the trouble of what comes. Raises NotFound."""
        cell = self._cells.get(name)
        if cell is None:
            raise NotFound(f"no workload '{name}'")
        serving, coming = pairs.component(cell.serving), cell.next
        beside = coming if coming is not None and pairs.component(coming).workload.beside else None
        (state,) = self._supervisor.describe([serving.name])
        if coming is not None and coming.state.restarts and not pairs.answers(coming) and state["state"] == "ready":
            state["message"] = f"release {pairs.component(coming).workload.release}: {coming.state.message}"
        return {
            **state,
            "name": name,
            "state": _STATES.get(state["state"], state["state"]),
            "http": f"127.0.0.1:{serving.port}",
            "grpc": f"127.0.0.1:{serving.grpc}",
            "release": serving.workload.release,
            "canary": pairs.described(beside) if beside is not None else None,
            "settled": state["state"] == "ready" and not cell.serving.changing and coming is None and not cell.leaving,
        }

    def describe_all(self) -> list[dict[str, Any]]:
        """State of all cells."""
        return [self.describe(name) for name in self._cells]

    async def remove(self, name: str) -> None:
        """Stop it and remove its files and user; no error where there is none."""
        _check_name(name)
        async with self._locks.setdefault(name, asyncio.Lock()):
            if cell := self._cells.pop(name, None):
                for unit in [*cell.all()]:
                    self._unfollow(unit)
                    await self._supervisor.remove(unit.component.name)
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

    def _ports(self) -> list[int]:
        found = [pairs.component(unit) for cell in self._cells.values() for unit in cell.all()]
        return [port for made in found for port in (made.port, made.grpc)]

    def _save(self) -> None:
        files.write_json(self._file, {name: cell.saved() for name, cell in self._cells.items()})


def _check_name(name: str) -> None:
    if not name.startswith("cell-") or not names.ID.match(name.removeprefix("cell-")):
        raise InvalidArgument("a workload is called cell-<id of the cell>")


def _check(name: str, workload: Step) -> None:
    _check_name(name)
    if name != f"cell-{workload.cell_id}":
        raise InvalidArgument("the name and the cell's id disagree")
    if workload.module not in MODULES:
        raise InvalidArgument(f"only {', '.join(MODULES)} may be run")
