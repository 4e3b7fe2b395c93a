"""What runs, on disk: written before anybody relies on it, read by the next supervisor and by ``status``."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voicehelper_embedded.files import read_json, write_json
from voicehelper_embedded.supervisor.identity import Identity


@dataclass(frozen=True, slots=True)
class Known:
    """A process as it was last started."""

    identity: Identity
    digest: str
    stop_signal: int = signal.SIGTERM
    restarts: int = 0


class ProcessTable:
    """``state/processes.json`` of a home, in order of start."""

    def __init__(self, home: Path) -> None:
        self.home, self._path = home, home / "state" / "processes.json"
        raw: dict[str, dict[str, Any]] = read_json(self._path, {})
        self._known = {
            name: Known(
                Identity(int(item["pid"]), str(item["created"])),
                str(item["digest"]),
                int(item["stop_signal"]),
                int(item["restarts"]),
            )
            for name, item in raw.items()
        }

    def __iter__(self) -> Iterator[tuple[str, Known]]:
        return iter(dict(self._known).items())

    def get(self, name: str) -> Known | None:
        """The last start of a component."""
        return self._known.get(name)

    def put(self, name: str, known: Known) -> None:
        """Remember a start; the latest one is last."""
        self._known.pop(name, None)
        self._known[name] = known
        self._write()

    def remove(self, name: str) -> None:
        """Forget a component."""
        if self._known.pop(name, None):
            self._write()

    def _write(self) -> None:
        write_json(
            self._path,
            {
                name: {
                    "pid": known.identity.pid,
                    "created": known.identity.created,
                    "digest": known.digest,
                    "stop_signal": int(known.stop_signal),
                    "restarts": known.restarts,
                }
                for name, known in self._known.items()
            },
            sort=False,
        )
