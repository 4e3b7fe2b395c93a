"""``/api/v1/conversations``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from voicehelper_core.errors import AppError, InvalidArgument, Unavailable
from voicehelper_core.gen.conversation.v1 import conversation_pb2

from voicehelper_cell.web import sse
from voicehelper_cell.web.caller import USER, Calls, Key, metadata
from voicehelper_cell.web.shapes import plain

router = APIRouter(prefix="/api/v1/conversations", tags=["conversations"], dependencies=[USER])
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str, Query(max_length=500)]
_SECONDS = 30


class NewConversation(BaseModel):
    """A conversation to begin."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(default="", max_length=200)
    mode: str = Field(default="chat", max_length=20)


class NewMessage(BaseModel):
    """A message to send."""

    model_config = ConfigDict(extra="forbid")

    content: str


@router.post("", status_code=201)
async def create(calls: Calls, body: NewConversation, key: Key = "") -> dict[str, Any]:
    """Begin a conversation."""
    request = conversation_pb2.CreateConversationRequest(title=body.title, mode=body.mode, idempotency_key=key)
    return plain(await calls.conversation.CreateConversation(request, metadata=metadata(), timeout=_SECONDS))


@router.get("")
async def listing(calls: Calls, limit: Limit = 50, cursor: Cursor = "") -> dict[str, Any]:
    """The caller's conversations, newest first."""
    request = conversation_pb2.ListConversationsRequest(limit=limit, cursor=cursor)
    return plain(await calls.conversation.ListConversations(request, metadata=metadata(), timeout=_SECONDS))


@router.get("/{conversation_id}")
async def get(calls: Calls, conversation_id: str) -> dict[str, Any]:
    """One conversation."""
    request = conversation_pb2.GetConversationRequest(id=conversation_id)
    return plain(await calls.conversation.GetConversation(request, metadata=metadata(), timeout=_SECONDS))


@router.get("/{conversation_id}/messages")
async def history(calls: Calls, conversation_id: str, limit: Limit = 50, cursor: Cursor = "") -> dict[str, Any]:
    """Messages, oldest first."""
    request = conversation_pb2.ListMessagesRequest(conversation_id=conversation_id, limit=limit, cursor=cursor)
    return plain(await calls.conversation.ListMessages(request, metadata=metadata(), timeout=_SECONDS))


@router.post("/{conversation_id}/messages", response_model=None, responses=sse.OPENAPI)
async def send(
    calls: Calls, conversation_id: str, body: NewMessage, request: Request, key: Key = ""
) -> Response | dict[str, Any]:
    """Send a message. The answer is the assistant's message, or its events with ``Accept: text/event-stream``."""
    message = conversation_pb2.SendMessageRequest(
        conversation_id=conversation_id, content=body.content, idempotency_key=key
    )
    call = calls.conversation.SendMessage(message, metadata=metadata())
    if sse.wanted(request):
        return await sse.response(call)
    return await _whole(call)


@router.get(
    "/{conversation_id}/messages/{message_id}/events",
    response_class=StreamingResponse,
    response_model=None,
    responses=sse.OPENAPI,
)
async def events(
    calls: Calls,
    conversation_id: str,
    message_id: str,
    last: Annotated[str, Header(alias="Last-Event-ID", max_length=30)] = "0",
) -> Response:
    """The events of an answer after ``Last-Event-ID``: what was missed, then what comes."""
    if not (last.isascii() and last.isdigit() and len(last) <= 18):
        raise InvalidArgument("Last-Event-ID: send the id of the last event that you have seen")
    request = conversation_pb2.FollowMessageRequest(
        conversation_id=conversation_id, message_id=message_id, after=int(last)
    )
    return await sse.response(calls.conversation.FollowMessage(request, metadata=metadata()))


async def _whole(call: Any) -> dict[str, Any]:
    """Read to the end: the completed message, or the error that ended it."""
    try:
        async for event in call:
            if event.type == "message.completed":
                return plain(event.message)
            if event.type == "error":
                raise _error(event)
    finally:
        call.cancel()
    raise Unavailable("the answer ended without a message: ask again")


def _error(event: Any) -> AppError:
    kinds = {kind.code: kind for kind in AppError.__subclasses__()}
    return kinds.get(event.error_code, Unavailable if event.error_code == "interrupted" else AppError)(
        event.error_detail
    )
