"""Named points at which tests may kill, delay or fail a process; without configuration they do nothing.

``VOICEHELPER_FAULT_POINTS`` (or ``fault_points`` of the process's configuration) lists points, separated by commas:
``name`` kills the process with SIGKILL when it gets there, ``name:3`` only on the third hit, ``name=raise`` raises
``FaultError``, ``name=sleep:250`` waits 250 ms. The count and the action go together: ``name:3=raise``.
Where ``environment`` is ``prod`` the list is ignored.
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass

from voicehelper_core.log import get_logger
from voicehelper_core.settings import BaseAppSettings

log = get_logger(__name__)


class FaultError(Exception):
    """Raised on purpose, by a point with the action ``raise``."""


@dataclass(slots=True)
class _Fault:
    action: str = "kill"
    milliseconds: int = 0
    on_hit: int | None = None
    hits: int = 0

    def due(self) -> bool:
        self.hits += 1
        return self.on_hit is None or self.hits == self.on_hit


_faults: dict[str, _Fault] | None = None


def parse(text: str) -> dict[str, _Fault]:
    """The faults by point. Raises ValueError for what cannot be read: a mistyped fault would test nothing."""
    faults: dict[str, _Fault] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        target, _, action = item.partition("=")
        name, _, hit = target.partition(":")
        fault = _Fault(on_hit=int(hit) if hit else None)
        if action:
            fault.action, _, milliseconds = action.partition(":")
            fault.milliseconds = int(milliseconds or 0)
        if not name or fault.action not in ("kill", "raise", "sleep"):
            raise ValueError(f"fault points: cannot read {item!r}")
        faults[name] = fault
    return faults


def load(settings: BaseAppSettings | None = None) -> None:
    """Read the configuration again and forget the hits; ``point`` does it by itself the first time."""
    global _faults  # noqa: PLW0603 (one process, one list of faults)
    settings = settings or BaseAppSettings()
    _faults = {} if settings.environment == "prod" else parse(settings.fault_points)


async def point(name: str) -> None:
    """A step that crosses a process ends here: die, fail or wait where a test asked for it."""
    if _faults is None:
        load()
    fault = _faults.get(name) if _faults else None
    if fault is None or not fault.due():
        return
    log.warning("fault point", point=name, action=fault.action)
    if fault.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault.action == "raise":
        raise FaultError(f"fault point {name}")
    await asyncio.sleep(fault.milliseconds / 1000)
