"""Conversations and their messages; streams of answers that can be resumed.

``service.py`` takes a message and starts a run, ``runs.py`` carries it out and keeps its events, ``recovery.py`` marks
what a dead process left, ``repository.py`` is the SQL. Called by the BFFs; calls the orchestrator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voicehelper_cell.conversation.grpc import ConversationServicer


def build(settings: Any, database: Any, channel: Any, placements: Any) -> ConversationServicer:
    """The service behind its gRPC surface; ``runs`` of it has to be recovered at the start and closed at the end."""
    from voicehelper_cell.conversation.grpc import ConversationServicer
    from voicehelper_cell.conversation.runs import Runs
    from voicehelper_cell.conversation.service import ConversationService

    runs = Runs(database, channel, seconds=settings.answer_seconds)
    return ConversationServicer(ConversationService(settings, database, runs, placements.limits), runs)
