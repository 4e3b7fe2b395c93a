"""What runs, on disk: written before anybody relies on it, read by the next supervisor and by ``status``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voicehelper_embedded.files import read_json, write_json
from voicehelper_embedded.supervisor.process import Identity


@dataclass(frozen=True, slots=True)
class Known:
    """A process as it was last started."""

    identity: Identity
    digest: str
    restarts: int = 0


class ProcessTable:
    """``state/processes.json``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        raw: dict[str, dict[str, Any]] = read_json(path, {})
        self._known = {
            name: Known(Identity(int(item["pid"]), float(item["created"])), str(item["digest"]), int(item["restarts"]))
            for name, item in raw.items()
        }

    def __iter__(self) -> Any:
        return iter(dict(self._known).items())

    def get(self, name: str) -> Known | None:
        """The last start of a component."""
        return self._known.get(name)

    def put(self, name: str, known: Known) -> None:
        """Remember a start."""
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
                    "restarts": known.restarts,
                }
                for name, known in self._known.items()
            },
        )
