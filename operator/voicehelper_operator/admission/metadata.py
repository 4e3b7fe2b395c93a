"""Metadata that only the operator may write: who owns an object, its own labels and annotations, its finalizers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voicehelper_core.archive.manifest import RESTORED, RESTORING
from voicehelper_crds import GROUP, PAUSED

from voicehelper_operator.admission.request import GARBAGE_COLLECTORS, Body, Refusal, Request, Trust
from voicehelper_operator.cells.plan import FINALIZER as CELL
from voicehelper_operator.cells.rotation import ANNOTATION
from voicehelper_operator.moves.plan import FINALIZER as MOVE
from voicehelper_operator.tenants.plan import FINALIZER as TENANT

FINALIZERS = {"Tenant": TENANT, "Cell": CELL, "TenantMove": MOVE}
"""The kinds whose metadata is guarded, and the finalizer that the operator puts on each."""
_OPEN = frozenset({f"{GROUP}/isolation-proof", PAUSED, ANNOTATION})
"""What of that prefix is for whoever uses the API: ``voicehelper prove isolation`` marks what it makes, and whoever may
change a resource may pause it, and ask for new passwords."""
_IDENTITYS = frozenset({RESTORING, RESTORED})
"""What identity marks tenants with that it makes of archives."""


def refusal(request: Request, trust: Trust) -> Refusal | None:
    """Why the change of metadata is refused. Finalizers are guarded to the end, the rest until the deletion."""
    if request.operation == "DELETE":
        return None
    old, new = (request.old or {}).get("metadata", {}), (request.new or {}).get("metadata", {})
    if found := _finalizers(request, old, new, trust):
        return found
    if request.leaving:
        return None
    return _owners(request, old, new) or _marks(request, old, new, trust)


def _finalizers(request: Request, old: Body, new: Body, trust: Trust) -> Refusal | None:
    before, after = _ours(old.get("finalizers")), _ours(new.get("finalizers"))
    if trust.is_administrator(request):
        return None
    if taken := sorted(before - after):
        return _forbidden(
            f"{request.shown}: only the operator takes the finalizer '{taken[0]}', when everything of the"
            f" {request.kind.lower()} is gone; its conditions say what it waits for"
        )
    if added := sorted(after - before - {FINALIZERS[request.kind]}):
        return _forbidden(f"{request.shown}: the finalizer '{added[0]}' is not the operator's: leave it out")
    return None


def _owners(request: Request, old: Body, new: Body) -> Refusal | None:
    """Not even administrators: an object with an owner that is not there is deleted at once, with all that it has."""
    if request.user in GARBAGE_COLLECTORS or _references(old) == _references(new):
        return None
    return _forbidden(
        f"{request.shown}: only the operator sets metadata.ownerReferences, since what is owned ends with its owner:"
        + (" keep them as they are" if request.operation == "UPDATE" else " leave them out")
    )


def _marks(request: Request, old: Body, new: Body, trust: Trust) -> Refusal | None:
    if trust.is_administrator(request):
        return None
    free = _IDENTITYS if request.kind == "Tenant" and request.user == trust.identity else frozenset()
    for part in ("labels", "annotations"):
        before, after = old.get(part) or {}, new.get(part) or {}
        touched = (key for key in {*before, *after} if before.get(key) != after.get(key))
        changed = sorted(key for key in touched if _reserved(key) and key not in free)
        if changed:
            return _forbidden(
                f"{request.shown}: metadata.{part} of the prefix {GROUP}/ are the operator's: leave '{changed[0]}'"
                + (" as it is" if changed[0] in before else " out")
            )
    return None


def _reserved(key: str) -> bool:
    prefix, slash, _ = key.partition("/")
    return bool(slash) and (prefix == GROUP or prefix.endswith(f".{GROUP}")) and key not in _OPEN


def _ours(finalizers: list[str] | None) -> set[str]:
    return {item for item in finalizers or () if item.startswith(f"{GROUP}/")}


def _references(meta: Body) -> set[tuple[Any, ...]]:
    """What they say; in which order, and whom a deletion waits for, is no matter."""
    owners: list[Mapping[str, Any]] = meta.get("ownerReferences") or []
    return {tuple(owner.get(key) for key in ("apiVersion", "kind", "name", "uid", "controller")) for owner in owners}


def _forbidden(message: str) -> Refusal:
    return Refusal(message, 403, seen=False)
