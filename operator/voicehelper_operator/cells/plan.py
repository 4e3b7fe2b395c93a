"""What to do about a cell. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from voicehelper_crds import holds

from voicehelper_operator.cells import rotation
from voicehelper_operator.cells.observe import Observation
from voicehelper_operator.engine.pause import Pause

FINALIZER = "voicehelper.io/cell"
Step = Literal[
    "refuse", "identify", "finalizer", "slices", "migrate", "workload", "park", "hibernate", "await-tenants",
    "await-archive", "remove-workload", "archive-slices", "remove-slices", "release",
    "begin-rotation", "drain", "switch-rotation", "close-rotation", "finish-rotation",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order. ``refusal`` is a reason and a message; with a ``pause`` there are no steps."""

    steps: tuple[Step, ...]
    refusal: tuple[str, str] | None = None
    pause: Pause | None = None


def plan(seen: Observation) -> Plan:
    """The steps that bring the cell to its spec; all of them may be run at any time."""
    cell = seen.cell
    if seen.pause is not None:
        return Plan((), pause=seen.pause)
    if cell.metadata.deletion_timestamp is not None:
        return _deletion(seen)
    first: tuple[Step, ...] = ()
    if cell.status.cell_id is None:
        first += ("identify",)
    if FINALIZER not in cell.metadata.finalizers:
        first += ("finalizer",)
    if seen.cell_class is None:
        message = f"there is no CellClass '{cell.spec.class_ref}': apply it, or change spec.classRef"
        return Plan((*first, "refuse"), ("ClassNotFound", message))
    if cell.spec.topology not in seen.topologies:
        message = f"cells here can have spec.topology {' or '.join(sorted(seen.topologies))} only"
        return Plan((*first, "refuse"), ("TopologyNotSupported", message))
    stores = cell.spec.stores
    own = [name for name in ("postgres", "kafka", "milvus", "objects") if getattr(stores, name) == "own"]
    if own:
        message = f"this version runs cells on the shared servers only (spec.stores: {', '.join(own)})"
        return Plan((*first, "refuse"), ("StoresNotSupported", message))
    return Plan((*first, *rotation.added(seen, _running(seen))))


def _running(seen: Observation) -> tuple[Step, ...]:
    status = seen.cell.status
    if seen.forced:
        return ("slices", "hibernate")
    if seen.migrated and seen.drowsy:
        # First the router lets nobody in any more and says so, then what runs is stopped.
        return ("slices", "park" if status.hibernation != "Idle" else "hibernate")
    return ("slices", "workload") if seen.migrated else ("slices", "migrate", "slices", "workload")


def _deletion(seen: Observation) -> Plan:
    cell = seen.cell
    if FINALIZER not in cell.metadata.finalizers:
        return Plan(())
    if cell.status.cell_id is None:
        return Plan(("release",))
    if seen.tenants:
        return Plan(("await-tenants",))
    if seen.left:
        return Plan(("remove-workload", "remove-slices", "release"))
    match seen.policy:
        case "Delete":
            return Plan(("remove-workload", "remove-slices", "release"))
        case "Archive" if seen.owner is not None:
            if seen.owner.status.cell_id is not None and not holds(seen.owner.status.conditions, "Archived"):
                return Plan(("await-archive",))
            return Plan(("remove-workload", "remove-slices", "release"))
        case "Archive":  # nobody asked for the data of tenants that were kept here to go
            return Plan(("remove-workload", "archive-slices", "release"))
        case _:
            return Plan(("remove-workload", "release"))
