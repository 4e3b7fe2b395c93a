"""A release that is under way stays until it has ended; a strategy is there while a release waits for it."""

from __future__ import annotations

from voicehelper_operator.admission.plans import in_use
from voicehelper_operator.admission.request import Refusal, Request
from voicehelper_operator.admission.world import World


def refusal(request: Request, world: World) -> Refusal | None:
    """Cells that are on their way would stay as they are, with nobody who watches them."""
    if request.operation != "DELETE":
        return _strategy_missing(request, world)
    status = (request.old or {}).get("status") or {}
    if not status.get("startedAt") or status.get("finishedAt"):
        return None
    return Refusal(f"{request.shown} is under way: set spec.state to Stop, or spec.rollback, and wait for its end", 409)


def strategy_refusal(request: Request, world: World) -> Refusal | None:
    """One that has begun keeps what the strategy was."""
    waiting = [
        item
        for item in world.releases
        if item.spec.strategy_ref == request.name and item.status.started_at is None and item.status.finished_at is None
    ]
    return in_use(request, waiting, "name another strategy in their spec.strategyRef")


def _strategy_missing(request: Request, world: World) -> Refusal | None:
    name = (request.new or {}).get("spec", {}).get("strategyRef")
    if name is None or name in world.strategies or (request.old or {}).get("spec", {}).get("strategyRef") == name:
        return None
    there = sorted(world.strategies)[:5]
    known = f", or name another one ({', '.join(there)})" if there else ""
    return Refusal(f"spec.strategyRef: there is no CellReleaseStrategy '{name}': apply it first{known}", 422)
