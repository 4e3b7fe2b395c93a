"""Named points at which tests may kill, delay or fail a process; without configuration they do nothing.

``VOICEHELPER_FAULT_POINTS`` (or ``fault_points`` of the process's configuration) lists points, separated by commas:
``name`` kills the process with SIGKILL when it gets there, ``name:3`` only on the third hit, ``name=raise`` raises
``FaultError``, ``name=sleep:250`` waits 250 ms. The count and the action go together: ``name:3=raise``.

A platform that runs is told by files instead: where ``VOICEHELPER_FAULT_FOLDER`` names a folder, ``arm`` puts a file
with a point's name there, and the first process that gets to the point takes the file away and does what it says. So a
point strikes once, whichever process gets there, and whatever is started again goes on.
Where ``environment`` is ``prod`` both are ignored. ``fault_points.py`` lists all points.
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from pathlib import Path

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
_folder: Path | None = None


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
    global _faults, _folder  # noqa: PLW0603 (one process, one list of faults)
    settings = settings or BaseAppSettings()
    allowed = settings.environment != "prod"
    _faults = parse(settings.fault_points) if allowed else {}
    _folder = settings.fault_folder if allowed else None


def arm(folder: Path, name: str, action: str = "kill") -> Path:
    """Let a point strike once, in whichever process gets there first; the file is gone when it did."""
    parse(f"{name}={action}")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)  # processes of all the platform's users take files away
    ready = folder / f".{name}"
    ready.write_text(action)
    ready.chmod(0o644)
    return ready.replace(folder / name)


def _armed(name: str) -> _Fault | None:
    """What the folder says of a point; only one process gets it."""
    if _folder is None:
        return None
    path = _folder / name
    try:
        action = path.read_text()
        path.unlink()
    except OSError:
        return None
    return parse(f"{name}={action}")[name]


async def point(name: str) -> None:
    """A step that crosses a process ends here: die, fail or wait where a test asked for it."""
    if _faults is None:
        load()
    fault = _faults.get(name) if _faults else None
    if fault is None or not fault.due():
        fault = _armed(name)
    if fault is None:
        return
    log.warning("fault point", point=name, action=fault.action)
    if fault.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault.action == "raise":
        raise FaultError(f"fault point {name}")
    await asyncio.sleep(fault.milliseconds / 1000)
