"""TenantMoves for people: begin one, follow some, drain a cell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from voicehelper_core import errors
from voicehelper_core.ports import ResourceStore
from voicehelper_crds import API_VERSION, Cell, Tenant, TenantMove

from voicehelper_cli.balance import Step, balanced
from voicehelper_cli.changing import changed_spec
from voicehelper_cli.failures import Failure
from voicehelper_cli.output import say
from voicehelper_cli.resources import find

_LOOK_SECONDS = 0.5


async def begun(store: ResourceStore, tenant: str, target: dict[str, Any], *, grace: int | None = None) -> TenantMove:
    """Make it, under a name of its own. Raises Failure."""
    await find(store, Tenant, tenant)
    stamp = f"{datetime.now(UTC):%m%d-%H%M%S}"
    spec: dict[str, Any] = {"tenant": tenant, "target": target}
    if grace is not None:
        spec["graceSeconds"] = grace
    for number in range(10):
        name = f"{tenant[:40]}-{stamp}" + (f"-{number}" if number else "")
        manifest = {"apiVersion": API_VERSION, "kind": "TenantMove", "metadata": {"name": name}, "spec": spec}
        try:
            made: TenantMove = await store.create(manifest)  # type: ignore[assignment]
        except errors.Conflict:
            continue
        except errors.AppError as error:
            raise Failure(error.detail) from None
        return made
    raise Failure("too many moves were begun at once: try again")


async def followed(store: ResourceStore, names: Sequence[str], seconds: float) -> None:
    """Print what changes until all serve in their new cells (the source may be kept for a while). Raises Failure."""
    last: dict[str, str] = {}
    end = time.monotonic() + seconds
    while True:
        moves = [await find(store, TenantMove, name) for name in names]
        for move in moves:
            told = f"{move.metadata.name}: {move.status.phase or 'not looked at yet'}: {move.status.message}".rstrip(
                ": "
            )
            if last.get(move.metadata.name) != told:
                say(told)
                last[move.metadata.name] = told
        ended = [move for move in moves if move.status.phase in ("Refused", "Aborted")]
        if ended:
            raise Failure(f"{ended[0].metadata.name} has ended: {ended[0].status.message}")
        if all(move.status.phase in ("Grace", "Cleaning", "Complete") for move in moves):
            return
        if time.monotonic() >= end:
            raise Failure("the moves are not done yet: follow them with `voicehelper get tenantmoves`")
        await asyncio.sleep(_LOOK_SECONDS)


async def cordoned(store: ResourceStore, name: str, *, value: bool) -> None:
    """Let nobody more be placed in a cell, or again. Raises Failure."""
    await changed_spec(store, Cell, name, lambda spec: spec | {"cordoned": value})


async def drained(store: ResourceStore, name: str, grace: int | None) -> list[str]:
    """Cordon a shared cell and begin the moves of all who live there; their names. Raises Failure."""
    cell: Cell = await find(store, Cell, name)
    if cell.spec.tenancy != "shared":
        raise Failure(f"cell/{name} is one tenant's own: move it with `voicehelper tenant move`")
    await cordoned(store, name, value=True)
    living = [tenant for tenant in await store.list(Tenant) if tenant.status.cell == name]
    going = {move.spec.tenant for move in await store.list(TenantMove) if move.status.finished_at is None}
    names = [tenant.metadata.name for tenant in living if tenant.metadata.name not in going]
    return [(await begun(store, tenant, {"isolation": "shared"}, grace=grace)).metadata.name for tenant in names]


async def unbalanced(store: ResourceStore) -> list[Step]:
    """The moves that would balance the shared cells."""
    return [*balanced(await store.list(Cell), await store.list(Tenant), await store.list(TenantMove))]
