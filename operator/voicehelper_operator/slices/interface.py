"""What the operator asks of a store. A new store is one more implementation of this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class CellRef:
    """The cell that a slice belongs to."""

    cell_id: str
    postgres_connections: int = 10
    topology: Literal["compact", "expanded"] = "compact"


@dataclass(frozen=True, slots=True)
class TenantRef:
    """A tenant that is placed in a cell, and what its cell has to know of it."""

    tenant_id: str
    name: str
    suspended: bool = False
    limits: Mapping[str, Any] = field(default_factory=dict)


class Slice(Protocol):
    """Every method is idempotent, safe to die in, and raises what the store's client raises."""

    store: str
    isolated: bool
    """Whether the store itself keeps cells apart; False where only our services do."""

    async def observe(self, cell: CellRef) -> list[str]:
        """What is missing or wrong; empty when all is as it should be."""
        ...

    async def ensure(self, cell: CellRef) -> list[str]:
        """Make what is missing; what was made. Writes nothing when nothing is missing."""
        ...

    async def verify(self, cell: CellRef) -> str | None:
        """Try the slice with the cell's own credentials: None, or what does not work."""
        ...

    async def let_migrate(self, cell: CellRef, *, allowed: bool) -> None:
        """Accept the credentials of migrations only while one runs; what stays allowed ends by itself."""
        ...

    async def remove(self, cell: CellRef) -> None:
        """Remove the slice with all its data; no error for what is gone."""
        ...

    async def archive(self, cell: CellRef) -> None:
        """Keep the data, mark it, and let nobody in."""
        ...

    async def ensure_tenant(self, cell: CellRef, tenant: TenantRef) -> list[str]:
        """Make the tenant's part; what was made."""
        ...

    async def lacking(self, cell: CellRef, tenants: Sequence[TenantRef]) -> set[str]:
        """Ids of those for whom ``ensure_tenant`` would write something; one question for all."""
        ...

    async def remove_tenant(self, cell: CellRef, tenant_id: str, *, data: bool) -> None:
        """Let the tenant out of the cell; with ``data`` also remove all it has. No error for what is gone."""
        ...


@runtime_checkable
class Captured(Protocol):
    """A slice whose changes flow on to others."""

    @property
    def stream_trouble(self) -> tuple[str, str] | None:
        """Reason and message while they do not; None while they do."""
        ...
