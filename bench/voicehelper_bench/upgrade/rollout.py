"""Releases that are installed, and CellReleases that are followed to their end."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from voicehelper_core.ports import ResourceStore
from voicehelper_crds import API_VERSION, CellRelease
from voicehelper_crds.models import CellReleaseStatus
from voicehelper_crds.releases import ReleasedCell
from voicehelper_embedded.throwaway import Platform

_LOOK_SECONDS = 0.25
_END_SECONDS = 1500.0
_FAILED = ("Failed", "RollingBack", "RolledBack")
_APP = "voicehelper_cell/web/app.py"
_FAULT = """
    @app.middleware("http")
    async def broken(request: Any, call: Any) -> Any:
        from fastapi.responses import JSONResponse

        return JSONResponse({}, 500) if request.url.path.startswith("/api/v1/") else await call(request)

    return app
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """A rollout that is over, and when a cell of it was first seen to have failed."""

    status: CellReleaseStatus
    noticed: datetime | None

    @property
    def cells(self) -> list[ReleasedCell]:
        """Those that it was brought to."""
        return [entry for wave in self.status.waves for entry in wave.cells if entry.begun_at is not None]


def install(platform: Platform, current: str, release: str, change: Callable[[str], str] | None = None) -> None:
    """A copy of the current release, with another answer to requests where one is given."""
    target = platform.home / "releases" / release
    shutil.copytree(platform.home / "releases" / current, target)
    if change is not None:
        file = target / _APP
        file.write_text(change(file.read_text()))


def broken(text: str) -> str:
    """The application, where every request of a tenant fails."""
    before, found, _ = text.rpartition("    return app\n")
    assert found
    return before + _FAULT.lstrip("\n")


async def rolled_out(store: ResourceStore, name: str, release: str, strategy: dict[str, Any] | None) -> Ended:
    """Apply it and wait for its end; without a strategy it is the shipped one. Raises TimeoutError."""
    spec = {"release": release, **({"strategy": strategy} if strategy is not None else {})}
    await store.apply({"apiVersion": API_VERSION, "kind": "CellRelease", "metadata": {"name": name}, "spec": spec})
    noticed = None
    async with asyncio.timeout(_END_SECONDS):
        while True:
            status = (await store.get(CellRelease, name)).status
            bad = [entry for wave in status.waves for entry in wave.cells if entry.phase in _FAILED]
            if noticed is None and bad:
                noticed = min(entry.since for entry in bad)
            if status.finished_at is not None:
                return Ended(status, noticed)
            await asyncio.sleep(_LOOK_SECONDS)
