"""Takes messages; one effect per idempotency key, one order per conversation."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import asyncpg
from voicehelper_core import faults
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import InvalidArgument, NotFound, QuotaExceeded, Unprocessable
from voicehelper_core.events import ConversationCreated, MessageSent

from voicehelper_cell import outbox, pagination
from voicehelper_cell.conversation import repository, shapes
from voicehelper_cell.conversation.models import STARTED, Conversation, Event, Message
from voicehelper_cell.conversation.run import Run
from voicehelper_cell.conversation.runs import Runs
from voicehelper_cell.database import Database
from voicehelper_cell.settings import CellSettings

MAX_TITLE = 200
MAX_KEY = 200
HISTORY_MESSAGES = 10
Limits = Callable[[TenantContext], Awaitable[Mapping[str, Any]]]


class ConversationService:
    """Conversations of the context's user in the context's tenant."""

    def __init__(self, settings: CellSettings, database: Database, runs: Runs, limits: Limits) -> None:
        self._settings, self._database, self._runs, self._limits = settings, database, runs, limits

    async def create(self, who: TenantContext, title: str, mode: str, key: str) -> Conversation:
        """Raises InvalidArgument, Unprocessable for a key that was used with another body."""
        title, mode = title.strip(), mode or "chat"
        if len(title) > MAX_TITLE or "\0" in title:
            raise InvalidArgument(f"title: at most {MAX_TITLE} characters, none of them NUL")
        if mode != "chat":
            raise InvalidArgument("mode: this version answers in the mode 'chat' only")
        async with self._database.tenant(who) as connection:
            identifier = uuid.uuid4()
            earlier = await self._claim(
                connection, who, "conversations", key, body=f"{mode}\n{title}", result_id=identifier
            )
            if earlier is not None:
                found = await repository.conversation(connection, who, earlier)
                if found is None:
                    raise NotFound("the conversation of this Idempotency-Key is gone")
                return found
            made = await repository.add_conversation(connection, who, identifier, title, mode)
            payload = ConversationCreated(conversation_id=made.id, title=title, mode="chat")
            await outbox.publish(connection, who, payload, aggregate_id=made.id, aggregate_type="conversation")
        return made

    async def get(self, who: TenantContext, identifier: str) -> Conversation:
        """Raises NotFound."""
        async with self._database.tenant(who) as connection:
            return await self._conversation(connection, who, identifier)

    async def _conversation(self, connection: asyncpg.Connection, who: TenantContext, identifier: str) -> Conversation:
        found = await repository.conversation(connection, who, pagination.identifier(identifier, "conversation"))
        if found is None:
            raise NotFound("there is no conversation with this id")
        return found

    async def listing(self, who: TenantContext, limit: int, cursor: str) -> tuple[list[Conversation], str]:
        """Newest first. Raises InvalidArgument."""
        limit, after = pagination.checked_limit(limit), pagination.decode_time(cursor)
        async with self._database.tenant(who) as connection:
            found = await repository.conversations(connection, who, limit + 1, after)
        page = found[:limit]
        following = pagination.encode(page[-1].created_at.isoformat(), page[-1].id) if len(found) > limit else ""
        return page, following

    async def history(self, who: TenantContext, identifier: str, limit: int, cursor: str) -> tuple[list[Message], str]:
        """Oldest first. Raises NotFound, InvalidArgument."""
        limit, after = pagination.checked_limit(limit), pagination.decode_number(cursor)
        async with self._database.tenant(who) as connection:
            conversation = await self._conversation(connection, who, identifier)
            found = await repository.messages(connection, conversation.id, limit + 1, after)
        page = found[:limit]
        return page, pagination.encode(page[-1].sequence) if len(found) > limit else ""

    async def send(self, who: TenantContext, identifier: str, content: str, key: str) -> AsyncIterator[Event]:
        """The events of the answer; the run goes on when nobody listens any more.

        Raises InvalidArgument, NotFound, QuotaExceeded, Unprocessable before the first event.
        """
        self._check(content)
        conversation_id = pagination.identifier(identifier, "conversation")
        quota = (await self._limits(who)).get("tokens_per_day")
        answer_id = await self._runs.begin(self._open(who, conversation_id, content, key=key, quota=quota))
        return self._runs.follow(who, answer_id, 0)

    async def _open(
        self, who: TenantContext, conversation_id: uuid.UUID, content: str, *, key: str, quota: int | None
    ) -> tuple[uuid.UUID, Run | None]:
        """Question, answer-to-be and event in one transaction; no run when the key has one already."""
        async with self._database.tenant(who) as connection:
            question_id, answer_id = uuid.uuid4(), uuid.uuid4()
            route = f"conversations/{conversation_id}/messages"
            earlier = await self._claim(connection, who, route, key, body=content, result_id=answer_id)
            if earlier is not None:
                return earlier, await self._again(connection, who, conversation_id, earlier, content=content)
            started = Event(1, STARTED, shapes.started(answer_id))
            sequence = await repository.ask(
                connection, who, conversation_id,
                question=(question_id, content), answer_id=answer_id, worker=self._runs.worker, first=started,
            )  # fmt: skip
            if sequence is None:
                raise NotFound("there is no conversation with this id")
            if quota is not None and await repository.tokens_today(connection) >= quota:
                raise QuotaExceeded(f"the tenant has used its {quota} model tokens of today (UTC)")
            payload = MessageSent(conversation_id=conversation_id, message_id=question_id, role="user", content=content)
            await outbox.publish(connection, who, payload, aggregate_id=conversation_id, aggregate_type="conversation")
            past = await repository.latest(connection, conversation_id, sequence, HISTORY_MESSAGES)
            await faults.point("conversation.send.before")
        await faults.point("conversation.send.recorded")
        run = Run.of(who, conversation_id, answer_id, content=content, history=past)
        run.begin(started)
        return answer_id, run

    async def _again(
        self,
        connection: asyncpg.Connection,
        who: TenantContext,
        conversation_id: uuid.UUID,
        answer_id: uuid.UUID,
        *,
        content: str,
    ) -> Run | None:
        """A retry of a question whose answer failed is answered anew, in the same place; None when it did not fail."""
        reopened = await repository.reopen(connection, answer_id, self._runs.worker)
        if reopened is None:
            return None
        answer, last = reopened
        past = await repository.latest(connection, conversation_id, answer.sequence - 1, HISTORY_MESSAGES)
        run = Run.of(who, conversation_id, answer_id, content=content, history=past)
        run.base = run.last_id = last
        return run

    async def follow(
        self, who: TenantContext, conversation_id: str, message_id: str, after: int
    ) -> AsyncIterator[Event]:
        """The events of an answer after an id. Raises NotFound, InvalidArgument."""
        if after < 0:
            raise InvalidArgument("Last-Event-ID: a number from 0")
        wanted = pagination.identifier(message_id, "message")
        async with self._database.tenant(who) as connection:
            found = await repository.message(connection, who, wanted)
        if found is None or str(found.conversation_id) != conversation_id.lower() or found.role != "assistant":
            raise NotFound("there is no answer with this id in this conversation")
        return self._runs.follow(who, found.id, after)

    async def _claim(
        self,
        connection: asyncpg.Connection,
        who: TenantContext,
        route: str,
        key: str,
        *,
        body: str,
        result_id: uuid.UUID,
    ) -> uuid.UUID | None:
        if not key:
            return None
        if len(key) > MAX_KEY or "\0" in key:
            raise InvalidArgument(f"Idempotency-Key: at most {MAX_KEY} characters, none of them NUL")
        fingerprint = hashlib.sha256(body.encode()).digest()
        earlier = await repository.claim_key(
            connection, who, route=route, key=key, fingerprint=fingerprint, result_id=result_id,
            hours=self._settings.idempotency_hours,
        )  # fmt: skip
        if earlier is None:
            return None
        if earlier[0] != fingerprint:
            raise Unprocessable("this Idempotency-Key was used with another body: use a new key")
        return earlier[1]

    def _check(self, content: str) -> None:
        if not content.strip():
            raise InvalidArgument("content: the message is empty")
        most = self._settings.max_message_characters
        if len(content) > most:
            raise InvalidArgument(f"content: at most {most} characters")
        if "\0" in content:
            raise InvalidArgument("content: NUL characters cannot be stored")
