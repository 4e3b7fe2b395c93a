"""One cell's process as the supervisor sees it: its user, its folders, its command line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from voicehelper_core import names

from voicehelper_embedded import files, users
from voicehelper_embedded.context import Context
from voicehelper_embedded.supervisor.process import Launch


class Step(BaseModel):
    """What is run of a release, as which cell."""

    model_config = ConfigDict(extra="forbid")

    cell_id: str = Field(pattern=names.ID.pattern)
    release: str = Field(pattern=r"^r[0-9a-f]{11}$")
    module: str
    config: dict[str, Any]


class Workload(Step):
    """A cell's process."""

    beside: bool = False
    """Whether another release than the one that serves stays beside it, instead of taking its place."""

    def runs_like(self, other: Workload) -> bool:
        """Whether the process of one is that of the other."""
        return self == other.model_copy(update={"beside": self.beside})


class Run(Step):
    """A step that ends by itself."""

    command: str = Field(pattern=r"^migrate$")


class CellComponent:
    """A cell's process as the supervisor sees it."""

    requires: tuple[str, ...] = ("postgres", "kafka", "milvus", "inference")
    start_seconds = 90.0

    def __init__(self, context: Context, name: str, workload: Workload, http: int, grpc: int) -> None:
        self.name, self._context, self.workload = name, context, workload
        self.port, self.grpc = http, grpc
        self.alone = True
        """Whether no other process of the cell runs beside it when it starts."""

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
        if not self.alone:
            config["alone"] = False
        await asyncio.to_thread(share_objects, self._context, cell_id, user)
        file = self.name.replace(f"cell-{cell_id}", "serve")
        return launch(self._context, workload=self.workload, command="serve", config=config, user=user, file=file)

    async def probe(self) -> str | None:
        return await self._context.http_ready(self.port)

    async def setup(self) -> None:
        """Nothing."""


def owner(context: Context, cell_id: str) -> str | None:
    """The cell's operating-system user; None without root."""
    if context.home.user is None:
        return None
    return users.ensure(names.os_user(cell_id), context.home.tag).pw_name


def share_objects(context: Context, cell_id: str, group: str | None) -> None:
    """Let the operator (owner) and the cell (group) into the cell's folder, and nobody else.

    The folder's own mode keeps others out; within it what the cell makes is open (its umask is 0), so that the operator
    can remove it, and what the operator makes is open to the group. Without ``group`` all becomes the operator's, once
    the cell has ended. While the cell can write there, nothing is changed below the folder: it could place links.
    """
    folder, platform = context.home.objects / cell_id, context.home.user
    if group:
        folder.mkdir(parents=True, exist_ok=True)
    if platform is None or not folder.is_dir() or (group and is_shared(context, cell_id)):
        return
    account, gid = pwd.getpwnam(platform), pwd.getpwnam(group or platform).pw_gid
    os.chown(folder, account.pw_uid, gid)
    folder.chmod(0o2770)
    for path in folder.rglob("*"):
        if path.is_symlink():
            continue
        os.chown(path, -1 if group else account.pw_uid, gid, follow_symlinks=False)
        path.chmod(0o2777 if path.is_dir() else 0o666)


def is_shared(context: Context, cell_id: str) -> bool:
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
    workload: Step,
    command: str,
    config: Mapping[str, Any],
    user: str | None,
    file: str = "",
) -> Launch:
    """The command line of a module of a release, with its configuration in a file that only its user reads.

    The file is called ``file``, or like the command.
    """
    path = cell_folder(context, workload.cell_id, user) / f"{file or command}.json"
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
            "HOME": str(path.parent),
            "TMPDIR": str(path.parent),
            **context.fault_environment(),
        },
        user=user,
        umask=0o000 if user else 0o077,
        files={"config": text},
    )
