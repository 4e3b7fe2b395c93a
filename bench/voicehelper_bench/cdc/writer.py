"""Writes messages with their events, through the cell's own code and credentials, in a process of its own."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import asyncpg
from voicehelper_cell import outbox
from voicehelper_cell.conversation import repository
from voicehelper_cell.database import Database, connect
from voicehelper_core.events import ConversationCreated, MessageSent

from voicehelper_bench.site import Place

USER = "bench"
CONTENT = "How long are the backups of a dedicated cell kept, and who may restore one of them?"
_CONNECTIONS = 4
_CONVERSATIONS = 32

_MESSAGE = """
WITH turn AS (
    UPDATE conversations SET next_sequence = next_sequence + 1, updated_at = clock_timestamp()
    WHERE id = $1 RETURNING next_sequence - 1 AS sequence
)
INSERT INTO messages (id, tenant_id, conversation_id, user_id, sequence, role, content, status)
SELECT $2, $3, $1, $4, sequence, 'user', $5, 'completed' FROM turn"""

Commits = list[tuple[str, float]]
"""Event id and the moment (``time.monotonic``) at which its commit returned to the client."""


@dataclass(frozen=True, slots=True)
class Load:
    """``rate`` messages a second (0: as fast as it goes), ``batch`` of them in a transaction, ``total`` in all."""

    rate: float
    total: int
    batch: int = 1


def write(place: Place, load: Load) -> Commits:
    """Write all of the load; times are comparable between processes of the machine."""
    return asyncio.run(_Writer(place).write(load))


@contextmanager
def process() -> Iterator[ProcessPoolExecutor]:
    """A process to write from."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def begin(pool: ProcessPoolExecutor, place: Place, load: Load) -> asyncio.Future[Commits]:
    """Write in the other process."""
    started: Future[Commits] = pool.submit(write, place, load)
    return asyncio.wrap_future(started)


class _Writer:
    def __init__(self, place: Place) -> None:
        self._place, self._who = place, place.who(USER)
        self._commits: Commits = []

    async def write(self, load: Load) -> Commits:
        pool = await connect(self._place.dsn, _CONNECTIONS)
        database = Database(pool, self._place.cell_id, "conversation")
        free: asyncio.Queue[uuid.UUID] = asyncio.Queue()
        try:
            for _ in range(_CONVERSATIONS):
                free.put_nowait(await self._conversation(database))
            await self._pace(database, free, load)
        finally:
            await pool.close()
        return self._commits

    async def _conversation(self, database: Database) -> uuid.UUID:
        async with database.tenant(self._who) as connection:
            made = await repository.add_conversation(connection, self._who, uuid.uuid4(), "Bench", "chat")
            payload = ConversationCreated(conversation_id=made.id, title=made.title)
            await outbox.publish(connection, self._who, payload, aggregate_id=made.id, aggregate_type="conversation")
        return made.id

    async def _pace(self, database: Database, free: asyncio.Queue[uuid.UUID], load: Load) -> None:
        running: set[asyncio.Task[None]] = set()
        start = time.monotonic()
        for number in range(0, load.total, load.batch):
            if load.rate and (wait := start + number / load.rate - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            while len(running) >= _CONVERSATIONS // 2:
                _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            size = min(load.batch, load.total - number)
            running.add(asyncio.create_task(self._transaction(database, free, size)))
        await asyncio.gather(*running)

    async def _transaction(self, database: Database, free: asyncio.Queue[uuid.UUID], size: int) -> None:
        conversation = await free.get()
        try:
            async with database.tenant(self._who) as connection:
                events = [await self._message(connection, conversation) for _ in range(size)]
            now = time.monotonic()
            self._commits += [(event, now) for event in events]
        finally:
            free.put_nowait(conversation)

    async def _message(self, connection: asyncpg.Connection, conversation: uuid.UUID) -> str:
        message = uuid.uuid4()
        await connection.execute(_MESSAGE, conversation, message, self._who.tenant_id, USER, CONTENT)
        payload = MessageSent(conversation_id=conversation, message_id=message, role="user", content=CONTENT)
        sent = await outbox.publish(
            connection, self._who, payload, aggregate_id=conversation, aggregate_type="conversation"
        )
        return str(sent.event_id)
