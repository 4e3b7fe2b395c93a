"""What the operator asks of whatever runs a cell's services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

MODULE = "voicehelper_cell"


@dataclass(frozen=True, slots=True)
class WorkloadSpec:
    """A cell's process: which code, with which configuration."""

    cell_id: str
    release: str
    config: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of the workload."""
        return workload_name(self.cell_id)


def workload_name(cell_id: str) -> str:
    """Name of a cell's workload."""
    return f"cell-{cell_id}"


@dataclass(frozen=True, slots=True)
class WorkloadState:
    """How it is. ``http`` and ``grpc`` are host:port."""

    ready: bool
    state: str
    restarts: int
    message: str
    release: str
    http: str
    grpc: str


class StepFailed(RuntimeError):
    """A step such as a migration ended with an error; the text is its output's end."""


class WorkloadRuntime(Protocol):
    """Idempotent; raises errors.Unavailable when the runtime cannot be reached."""

    async def ensure(self, spec: WorkloadSpec) -> WorkloadState:
        """Run it, or bring it up to date; does not wait for readiness."""
        ...

    async def observe(self, cell_id: str) -> WorkloadState | None:
        """How it is; None where it does not run."""
        ...

    async def list(self) -> dict[str, WorkloadState]:
        """All of them, by name."""
        ...

    async def remove(self, cell_id: str) -> None:
        """Stop it and remove what only it used; no error where there is none."""
        ...

    async def run_once(self, spec: WorkloadSpec, command: str) -> str:
        """Run a step of the release to its end; its output. Raises StepFailed."""
        ...
