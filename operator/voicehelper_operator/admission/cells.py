"""Cells: the class is there, protection holds. A cell with tenants may be deleted: it waits until they have gone."""

from __future__ import annotations

from voicehelper_operator.admission.protection import protected
from voicehelper_operator.admission.request import Refusal, Request
from voicehelper_operator.admission.world import World

_DEFAULT = "standard"


def refusal(request: Request, world: World) -> Refusal | None:
    """Why not."""
    if request.operation == "DELETE":
        assert request.old is not None
        return protected(request.kind, request.old)
    name = (request.new or {}).get("spec", {}).get("classRef", _DEFAULT)
    if name in world.classes or (request.old and request.old.get("spec", {}).get("classRef", _DEFAULT) == name):
        return None
    there = sorted(world.classes)[:5]
    known = f", or name another one ({', '.join(there)})" if there else ""
    return Refusal(f"spec.classRef: there is no CellClass '{name}': apply it first{known}", 422)
