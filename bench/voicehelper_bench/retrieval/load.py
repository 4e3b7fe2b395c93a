"""Bulk loading through the product's own repositories.

Passages, postings and embeddings are written to Postgres by indexing's repository, in its statements and under
row-level security. The cell then puts the vectors into Milvus by itself: that is its repair, which rebuilds a
tenant's partition from Postgres within a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable
from typing import Any

import psutil
from voicehelper_cell.indexing import repository
from voicehelper_cell.indexing.chunking import Chunk
from voicehelper_cell.indexing.models import Indexed, Job, Passage
from voicehelper_cell.knowledge.repository import lock
from voicehelper_cell.retrieval.terms import frequencies
from voicehelper_core import names
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import Unavailable
from voicehelper_embedded.throwaway import Platform

from voicehelper_bench.retrieval.corpus import Corpus
from voicehelper_bench.retrieval.world import World
from voicehelper_bench.site import postgres

PASSAGES_IN_DOCUMENT = 500
_REPAIR_SECONDS = 1500.0
_CALM_PERCENT, _CALM_SECONDS, _CALM_LIMIT = 20.0, 5, 600


def chunk_id(who: TenantContext, number: int) -> uuid.UUID:
    """Of the corpus' passage with this number."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{who.tenant_id}/{number}")


async def load(world: World, who: TenantContext, corpus: Corpus) -> None:
    """Make the corpus the tenant's documents, indexed."""
    for first in range(0, len(corpus.texts), PASSAGES_IN_DOCUMENT):
        numbers = range(first, min(first + PASSAGES_IN_DOCUMENT, len(corpus.texts)))
        passages = [
            Passage(chunk_id(who, n), Chunk(n - first, 0, len(corpus.texts[n]), corpus.texts[n]), "", counted)
            for n, counted in zip(numbers, map(frequencies, (corpus.texts[n] for n in numbers)), strict=True)
        ]
        embeddings: Any = [corpus.vectors[n] for n in numbers]
        job = Job(uuid.uuid5(uuid.NAMESPACE_URL, f"{who.tenant_id}-{first}"), 1, f"Part {first}", "", 1)
        async with world.database.tenant(who) as connection:
            await lock(connection, who)
            await connection.execute(
                "insert into documents (id, tenant_id, title, media_type, status, size_bytes, text, created_by)"
                " values ($1, $2, $3, 'text/plain', 'indexed', 1, '', 'bench')",
                job.document_id,
                who.tenant_id,
                job.title,
            )
            await repository.store(connection, who, [Indexed(job, passages, embeddings)])


async def tidy(platform: Platform, world: World) -> None:
    """What autovacuum does some minute after a load, now: postings can then be read from their index alone."""
    cell_id = next(iter(world.who.values())).cell_id
    async with postgres(platform) as connection:
        for table in ("chunk_terms", "chunks", "documents", "chunk_vectors"):
            await connection.execute(f"vacuum analyze {names.schema(cell_id, 'knowledge')}.{table}", timeout=900)


async def vectors_are_there(world: World, wanted: dict[str, int], note: Callable[[str], None]) -> None:
    """Wait until Milvus has as many vectors as each tenant has passages. Raises TimeoutError."""
    end, told = time.monotonic() + _REPAIR_SECONDS, 0.0
    missing = dict(wanted)
    while missing:
        for name, count in list(missing.items()):
            with contextlib.suppress(Unavailable):  # it is busy being filled
                if await world.vectors.count(world.who[name]) == count:
                    del missing[name]
        if time.monotonic() > end:
            raise TimeoutError(f"the cell has not put the vectors of {', '.join(missing)} into Milvus")
        if missing and time.monotonic() > told + 30:
            told = time.monotonic()
            note(f"the cell is filling Milvus: {len(missing)} tenants to go")
        await asyncio.sleep(2)


async def calm(note: Callable[[str], None]) -> None:
    """Wait until the machine has little to do: compaction, checkpoints and change data capture go on after a load."""
    started, quiet = time.monotonic(), 0
    psutil.cpu_percent()
    while quiet < _CALM_SECONDS and time.monotonic() - started < _CALM_LIMIT:
        await asyncio.sleep(1)
        quiet = quiet + 1 if psutil.cpu_percent() < _CALM_PERCENT else 0
    state = "is calm" if quiet == _CALM_SECONDS else "is still busy"
    note(f"the platform {state} {time.monotonic() - started:.0f} s after the load")
