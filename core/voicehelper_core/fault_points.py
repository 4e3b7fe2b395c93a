"""All fault points: each step that crosses a process, with its three moments, and how a campaign gets there.

A step's points are ``<step>.before`` the effect, ``<step>.effect`` after the effect and before it is recorded, and
``<step>.recorded``. A moment that does not exist says why. A test compares this list with the code, and the crash
campaign strikes at every point.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Moment = Literal["before", "effect", "recorded"]
Process = Literal["cell", "migrate", "analytics", "control-plane", "xds"]
Reached = Literal[
    "message", "upload", "delete", "tenant", "cell", "tenant-end", "cell-end", "archive", "restore", "rotation",
    "release", "move",
]  # fmt: skip
MOMENTS: tuple[Moment, ...] = ("before", "effect", "recorded")
_ONE: Mapping[Moment, str] = {"effect": "the effect is its own record: one transaction"}
_FILE: Mapping[Moment, str] = {"effect": "the effect is its own record: a file that is replaced as a whole"}
_STATUS: Mapping[Moment, str] = {"recorded": "recorded with the others' in the status: operator.cell.status.recorded"}
_TENANT: Mapping[Moment, str] = {"recorded": "recorded with the others' in the status: operator.tenant.status.recorded"}

_MOVED: Mapping[Moment, str] = {"recorded": "recorded with the others' in the status: operator.move.status.recorded"}
_RESTORED: Mapping[Moment, str] = {"recorded": "recorded with the whole restore: the tenant is no longer suspended"}


@dataclass(frozen=True, slots=True)
class Step:
    """One step. ``absent`` gives the reason for each moment without a point."""

    name: str
    process: Process
    """Which process dies there."""
    reached: Reached
    """What clients do to get there: a message, an upload, ..., a tenant in a shared cell, one with its own cell."""
    what: str
    absent: Mapping[Moment, str] = field(default_factory=dict)

    @property
    def points(self) -> tuple[str, ...]:
        """Names of its points."""
        return tuple(f"{self.name}.{moment}" for moment in MOMENTS if moment not in self.absent)


STEPS = (
    Step("conversation.send", "cell", "message", "question, answer-to-be and event", _ONE),
    Step("conversation.answer", "cell", "message", "the model's answer, then its row and event"),
    Step("knowledge.upload", "cell", "upload", "the original among the objects, then row and event"),
    Step("knowledge.delete", "cell", "delete", "row and event", _ONE),
    Step("consumer.event", "cell", "upload", "whatever an event asks for, then the group's offset"),
    Step("indexing.claim", "cell", "upload", "the attempt is counted", _ONE),
    Step("indexing.store", "cell", "upload", "vectors, then passages, status and event"),
    Step("indexing.forget", "cell", "delete", "objects and vectors of a deleted document",
         {"recorded": "the record is the group's offset: consumer.event.recorded"}),
    Step("cell.migrate", "migrate", "cell", "a service's schema and its revision", _ONE),
    Step("sink.begin", "analytics", "message", "the ranges of a batch", _ONE),
    Step("sink.insert", "analytics", "message", "rows in ClickHouse, then the positions",
         {"before": "nothing lies between it and sink.begin.recorded"}),
    Step("identity.provision", "control-plane", "tenant", "tenant and first admin", _ONE),
    Step("identity.remove", "control-plane", "tenant-end", "the tenant's users", _ONE),
    Step("identity.users", "control-plane", "restore", "the users of an archive", _ONE),
    Step("operator.tenant.identify", "control-plane", "tenant", "the tenant's id", _ONE),
    Step("operator.tenant.cell", "control-plane", "cell", "the resource of a cell of its own", _ONE),
    Step("operator.tenant.place", "control-plane", "tenant", "the choice of a cell", _ONE),
    Step("operator.placement", "control-plane", "tenant", "the entry in the cell's list of tenants", _TENANT),
    Step("operator.partition", "control-plane", "tenant", "the partition in Milvus", _TENANT),
    Step("operator.identity", "control-plane", "tenant", "tenant and first admin in identity", _TENANT),
    Step("operator.tenant.status", "control-plane", "tenant", "the tenant's conditions", _ONE),
    Step("operator.tenant.leave", "control-plane", "tenant-end", "access is taken away everywhere",
         {"recorded": "nothing is recorded: the next look finds that it is gone"}),
    Step("operator.tenant.cell-end", "control-plane", "cell-end", "the deletion of its own cell is asked for", _ONE),
    Step("operator.tenant.data", "control-plane", "tenant-end", "rows, vectors and objects go",
         {"recorded": "the record is the end of the resource: operator.tenant.release.recorded"}),
    Step("operator.tenant.archive", "control-plane", "archive", "a verified archive, then the tenant's condition"),
    Step("operator.archive.write", "control-plane", "archive", "the archive's bytes, then its name"),
    Step("operator.restore.rows", "control-plane", "restore", "rows of all tables", _ONE),
    Step("operator.restore.vectors", "control-plane", "restore", "vectors in Milvus", _RESTORED),
    Step("operator.restore.objects", "control-plane", "restore", "objects", _RESTORED),
    Step("operator.tenant.release", "control-plane", "tenant-end", "the resource goes", _ONE),
    Step("operator.cell.identify", "control-plane", "cell", "the cell's id", _ONE),
    Step("operator.credentials", "control-plane", "cell", "the cell's passwords", _FILE),
    Step("operator.postgres", "control-plane", "cell", "a role, schema or grant", _STATUS),
    Step("operator.publication", "control-plane", "cell", "the cell's tables in the publication", _STATUS),
    Step("operator.kafka", "control-plane", "cell", "topics, user and ACLs", _STATUS),
    Step("operator.milvus", "control-plane", "cell", "the collection", _STATUS),
    Step("operator.objects", "control-plane", "cell", "the folder of objects, or bucket and account", _STATUS),
    Step("operator.migrate", "control-plane", "cell", "the migrations were run", _STATUS),
    Step("operator.workload", "control-plane", "cell", "the supervisor runs the cell", _STATUS),
    Step("operator.release.status", "control-plane", "release", "how far a release is", _ONE),
    Step("operator.move.status", "control-plane", "move", "how far a move is", _ONE),
    Step("operator.move.cell", "control-plane", "move", "the resource of the cell that a move makes", _ONE),
    Step("operator.move.copy", "control-plane", "move", "rows, then vectors and objects, in the target"),
    Step("operator.move.hold", "control-plane", "move", "requests wait", _ONE),
    Step("operator.move.fence", "control-plane", "move", "nothing more is written in the source", _MOVED),
    Step("operator.move.rest", "control-plane", "move", "what came last is in the target", _MOVED),
    Step("operator.move.switch", "control-plane", "move", "the target is the tenant's home", _ONE),
    Step("operator.move.clean", "control-plane", "move", "what the source has of the tenant goes", _MOVED),
    Step("operator.move.abort", "control-plane", "move", "what the target has of the tenant goes", _MOVED),
    Step("operator.rotation.begin", "control-plane", "rotation", "the cell's other account is wanted", _ONE),
    Step("operator.rotation.switch", "control-plane", "rotation", "the other account becomes the workload's", _ONE),
    Step("operator.rotation.close", "control-plane", "rotation", "the first account is not wanted any more", _ONE),
    Step("operator.rotation.finish", "control-plane", "rotation", "the stores know one account only", _ONE),
    Step("operator.cell.status", "control-plane", "cell", "the cell's conditions", _ONE),
    Step("operator.workload.remove", "control-plane", "cell-end", "the supervisor ends the cell",
         {"recorded": "nothing is recorded: the next look finds that it is gone"}),
    Step("operator.cell.remove", "control-plane", "cell-end", "slices and passwords go",
         {"recorded": "the record is the end of the resource: operator.cell.release.recorded"}),
    Step("operator.cell.release", "control-plane", "cell-end", "the resource goes", _ONE),
    Step("xds.snapshot", "xds", "tenant", "the copy of the routes on disk", _FILE),
)  # fmt: skip
POINTS: Mapping[str, Step] = {point: step for step in STEPS for point in step.points}
