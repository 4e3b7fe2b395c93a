"""Messages in the shapes of the API, and of the contract."""

from __future__ import annotations

import uuid
from typing import Any

from voicehelper_core.gen.conversation.v1 import conversation_pb2

from voicehelper_cell.conversation.models import CITATION, DELTA, ERROR, Conversation, Event, Message


def citation(item: Any) -> dict[str, Any]:
    """A citation as JSON."""
    return {
        "document_id": item.document_id,
        "title": item.title,
        "start": item.start,
        "end": item.end,
        "text": item.text,
    }


def message(item: Message) -> dict[str, Any]:
    """A message as JSON."""
    return {
        "id": str(item.id),
        "conversation_id": str(item.conversation_id),
        "role": item.role,
        "content": item.content,
        "created_at": item.created_at.isoformat(),
        "citations": item.citations,
        "status": item.status,
        "model": item.model,
        "tokens_used": item.tokens_used,
    }


def started(message_id: uuid.UUID) -> dict[str, Any]:
    """What the first event of an answer says."""
    return {"message": {"id": str(message_id), "role": "assistant"}}


def conversation_message(item: Conversation) -> Any:
    """A conversation as protobuf."""
    return conversation_pb2.Conversation(
        id=str(item.id),
        title=item.title,
        mode=item.mode,
        created_at=item.created_at.isoformat(),
        updated_at=item.updated_at.isoformat(),
    )


def message_message(item: dict[str, Any]) -> Any:
    """A message (as JSON) as protobuf."""
    fields = {name: value for name, value in item.items() if name != "citations"}
    citations = [conversation_pb2.Citation(**each) for each in item.get("citations", [])]
    return conversation_pb2.Message(**fields, citations=citations)


def event_message(event: Event) -> Any:
    """An event as protobuf."""
    result = conversation_pb2.MessageEvent(id=event.id, type=event.type)
    match event.type:
        case x if x == DELTA:
            result.delta = event.body["delta"]
        case x if x == CITATION:
            result.citation.CopyFrom(conversation_pb2.Citation(**event.body["citation"]))
        case x if x == ERROR:
            result.error_code, result.error_detail = event.body["code"], event.body["detail"]
        case _:
            result.message.CopyFrom(message_message(event.body["message"]))
    return result
