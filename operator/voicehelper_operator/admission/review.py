"""The judgement of a question. Pure: what it rests on was looked at before."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from voicehelper_operator.admission import cells, metadata, moves, plans, releases, tenants
from voicehelper_operator.admission.request import Refusal, Request, Trust
from voicehelper_operator.admission.world import World

_RULES: Mapping[str, Callable[[Request, World], Refusal | None]] = {
    "Tenant": tenants.refusal,
    "Cell": cells.refusal,
    "TenantPlan": plans.plan_refusal,
    "CellClass": plans.class_refusal,
    "CellRelease": releases.refusal,
    "CellReleaseStrategy": releases.strategy_refusal,
    "TenantMove": moves.refusal,
}


def review(request: Request, world: World, trust: Trust) -> Refusal | None:
    """Why the request is refused; None lets it pass.

    The operator is never refused: its writes are those of an object's life, and must not depend on this. An object that
    is being deleted can always be changed, so that it can end, but for who takes its finalizers. A change that leaves
    the spec as it is passes whatever has become of what the spec names.
    """
    if trust.is_operator(request):
        return None
    if request.kind in metadata.FINALIZERS and (found := metadata.refusal(request, trust)):
        return found
    if request.leaving or (request.operation == "UPDATE" and not request.spec_changed):
        return None
    return _RULES[request.kind](request, world)
