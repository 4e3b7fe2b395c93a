"""What the operator asks of whatever runs a cell's services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

MODULE = "voicehelper_cell"


@dataclass(frozen=True, slots=True)
class Size:
    """How much a cell may use, in the units of Kubernetes."""

    cpu: str = "1"
    memory: str = "1Gi"
    replicas: int = 1
    priority_class: str = ""
    most_replicas: int = 20
    requests_per_second: int = 1000
    """Of a replica, before there are more."""


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """Of one service of an expanded cell."""

    config: Mapping[str, Any]
    files: Mapping[str, str]
    """Certificates, by the names of their files; they are read again when they change."""


@dataclass(frozen=True, slots=True)
class WorkloadSpec:
    """A cell's services: which code, with which configuration, how large."""

    cell_id: str
    release: str
    config: Mapping[str, Any]
    cell: str = ""
    """Name of the Cell, for people."""
    topology: str = "compact"
    size: Size = field(default_factory=Size)
    services: Mapping[str, ServiceConfig] = field(default_factory=dict)
    """Of an expanded cell, by name; ``config`` is then what steps are told."""
    tried: WorkloadSpec | None = None
    """Another release that stays beside it, instead of taking its place once it answers."""
    leaving: WorkloadSpec | None = None
    """A release that was tried beside it and may still have requests. Only a runtime that shows it as ``canary`` needs
    to know: others end by themselves what is not wanted any more."""

    @property
    def name(self) -> str:
        """Name of the workload."""
        return workload_name(self.cell_id)


def workload_name(cell_id: str) -> str:
    """Name of a cell's workload."""
    return f"cell-{cell_id}"


@dataclass(frozen=True, slots=True)
class CanaryState:
    """How the release is that stays beside what serves."""

    release: str
    ready: bool
    restarts: int
    message: str
    http: str
    grpc: str
    memory: int | None = field(default=None, compare=False)
    """Resident bytes; None where the runtime does not tell."""


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
    settled: bool = False
    """Whether all that runs has the newest configuration and answers; what leaves runs as well."""
    canary: CanaryState | None = None
    """What stays beside it."""
    memory: int | None = None
    """Resident bytes of what serves; None where the runtime does not tell."""
    rolled: bool = False
    """Whether all that serves has the newest configuration and answers, whatever runs beside it."""


class StepFailed(RuntimeError):
    """A step such as a migration ended with an error; the text is its output's end."""


class WorkloadRuntime(Protocol):
    """Idempotent; raises errors.Unavailable when the runtime cannot be reached."""

    topologies: frozenset[str]
    """Topologies of cells that it can run."""
    seamless: bool
    """Whether ``ensure`` replaces what runs without a gap, so that no request fails for a new configuration."""
    canaries: frozenset[str]
    """Topologies of cells in which a release can stay beside the one that serves."""

    async def ensure(self, spec: WorkloadSpec) -> WorkloadState:
        """Run it, or bring it up to date; does not wait for readiness."""
        ...

    async def observe(self, cell_id: str) -> WorkloadState | None:
        """How it is; None where it does not run."""
        ...

    def changes(self) -> AsyncIterator[str]:
        """Names of workloads whose state changed, or that are not any more what ``ensure`` made of them; for ever."""
        ...

    async def sleep(self, spec: WorkloadSpec) -> bool:
        """Stop what runs and keep the rest, no error where there is none; whether nothing runs any more."""
        ...

    async def remove(self, cell_id: str) -> str | None:
        """Stop it and remove what only it used: None when nothing is left, or what is in the way."""
        ...

    async def run_once(self, spec: WorkloadSpec, command: str) -> str:
        """Run a step of the release to its end; its output. Raises StepFailed."""
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...
