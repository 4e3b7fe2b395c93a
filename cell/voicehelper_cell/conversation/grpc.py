"""gRPC surface of conversations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from voicehelper_core import context
from voicehelper_core.gen.conversation.v1 import conversation_pb2, conversation_pb2_grpc

from voicehelper_cell.conversation import shapes
from voicehelper_cell.conversation.runs import Runs
from voicehelper_cell.conversation.service import ConversationService


class ConversationServicer(conversation_pb2_grpc.ConversationServiceServicer):
    """Delegates to the service in the context of the call."""

    def __init__(self, service: ConversationService, runs: Runs) -> None:
        self._service, self.runs = service, runs

    async def CreateConversation(self, request: Any, _: Any) -> Any:
        """A new conversation of the caller."""
        made = await self._service.create(context.current(), request.title, request.mode, request.idempotency_key)
        return shapes.conversation_message(made)

    async def GetConversation(self, request: Any, _: Any) -> Any:
        """One conversation of the caller."""
        return shapes.conversation_message(await self._service.get(context.current(), request.id))

    async def ListConversations(self, request: Any, _: Any) -> Any:
        """Conversations of the caller, newest first."""
        page, following = await self._service.listing(context.current(), request.limit, request.cursor)
        items = [shapes.conversation_message(item) for item in page]
        return conversation_pb2.ListConversationsResponse(items=items, next_cursor=following)

    async def ListMessages(self, request: Any, _: Any) -> Any:
        """Messages of a conversation, oldest first."""
        page, following = await self._service.history(
            context.current(), request.conversation_id, request.limit, request.cursor
        )
        items = [shapes.message_message(shapes.message(item)) for item in page]
        return conversation_pb2.ListMessagesResponse(items=items, next_cursor=following)

    async def SendMessage(self, request: Any, _: Any) -> AsyncIterator[Any]:
        """Store the message and stream the answer's events."""
        events = await self._service.send(
            context.current(), request.conversation_id, request.content, request.idempotency_key
        )
        async for event in events:
            yield shapes.event_message(event)

    async def FollowMessage(self, request: Any, _: Any) -> AsyncIterator[Any]:
        """The events of an answer after an id."""
        events = await self._service.follow(
            context.current(), request.conversation_id, request.message_id, request.after
        )
        async for event in events:
            yield shapes.event_message(event)
