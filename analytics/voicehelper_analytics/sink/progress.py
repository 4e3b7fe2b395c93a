"""What the sink has read, in its own Postgres schema."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from voicehelper_analytics.sink.batches import DeadLetter

Partition = tuple[str, int]
Ranges = Mapping[Partition, tuple[int, int]]
"""First offset and the one after the last, by topic and partition."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets that were to be read and that Kafka no longer has; ``end`` is the one after the last."""

    topic: str
    partition: int
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that was begun: exactly these offsets without these events, under this token."""

    id: int
    token: str
    """Deduplication token of the insert; random, so that no other database's batch ever had it."""
    ranges: Ranges
    skipped: frozenset[UUID]


class Progress:
    """Positions and the one pending batch. Raises what asyncpg raises; the caller begins again then."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def positions(self) -> dict[Partition, int]:
        """Next offset to read, by topic and partition."""
        rows = await self._pool.fetch("SELECT topic, partition, next_offset FROM analytics.sink_positions")
        return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}

    async def pending(self) -> Batch | None:
        """The batch that was begun and not ended, if any."""
        row = await self._pool.fetchrow(
            "SELECT id, token, ranges, skipped FROM analytics.sink_batches ORDER BY id LIMIT 1"
        )
        if row is None:
            return None
        ranges = {(topic, part): (first, end) for topic, part, first, end in json.loads(row["ranges"])}
        return Batch(row["id"], str(row["token"]), ranges, frozenset(row["skipped"]))

    async def begin(self, ranges: Ranges, skipped: Iterable[UUID]) -> Batch:
        """Record a batch before it is inserted."""
        listed = sorted((topic, part, first, end) for (topic, part), (first, end) in ranges.items())
        skips = sorted(skipped)
        row = await self._pool.fetchrow(
            "INSERT INTO analytics.sink_batches (ranges, skipped) VALUES ($1, $2) RETURNING id, token",
            json.dumps(listed),
            skips,
        )
        return Batch(row["id"], str(row["token"]), ranges, frozenset(skips))

    async def complete(self, batch: Batch, dead: Iterable[DeadLetter], gaps: Iterable[Gap] = ()) -> None:
        """Record that a batch is in ClickHouse and where to go on."""
        async with self._pool.acquire() as connection, connection.transaction():
            letters = [(d.record.topic, d.record.partition, d.record.offset, d.reason, d.record.value) for d in dead]
            await connection.executemany(_DEAD_LETTER, letters + [_letter(gap) for gap in gaps])
            await connection.executemany(
                _POSITION, [(topic, part, end) for (topic, part), (_, end) in batch.ranges.items()]
            )
            await connection.execute("DELETE FROM analytics.sink_batches WHERE id = $1", batch.id)

    async def skip(self, gaps: Iterable[Gap]) -> None:
        """Record what cannot be read any more, and go on after it."""
        gaps = list(gaps)
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.executemany(_DEAD_LETTER, [_letter(gap) for gap in gaps])
            await connection.executemany(_POSITION, [(gap.topic, gap.partition, gap.end) for gap in gaps])

    async def forget(self, topics: Iterable[str]) -> None:
        """Positions of topics that were removed; one that is made again is another one and is read from its start."""
        await self._pool.execute("DELETE FROM analytics.sink_positions WHERE topic = ANY($1)", sorted(topics))


_DEAD_LETTER = """
    INSERT INTO analytics.dead_letters (topic, partition, record_offset, reason, value)
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING"""
_POSITION = """
    INSERT INTO analytics.sink_positions (topic, partition, next_offset) VALUES ($1, $2, $3)
    ON CONFLICT (topic, partition) DO UPDATE SET next_offset = EXCLUDED.next_offset"""


def _letter(gap: Gap) -> tuple[str, int, int, str, None]:
    reason = f"Kafka no longer has the offsets {gap.first} to {gap.end - 1}"
    return gap.topic, gap.partition, gap.first, reason, None
