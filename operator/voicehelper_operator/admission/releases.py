"""A release that is under way stays until it has ended."""

from __future__ import annotations

from voicehelper_operator.admission.request import Refusal, Request


def refusal(request: Request) -> Refusal | None:
    """Cells that are on their way would stay as they are, with nobody who watches them."""
    status = (request.old or {}).get("status") or {}
    under_way = bool(status.get("startedAt")) and not status.get("finishedAt")
    if request.operation != "DELETE" or not under_way:
        return None
    return Refusal(f"{request.shown} is under way: set spec.state to Stop, or spec.rollback, and wait for its end", 409)
