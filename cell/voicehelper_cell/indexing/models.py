"""What indexing speaks about."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from voicehelper_cell.indexing.chunking import Chunk, chunks
from voicehelper_cell.retrieval.terms import frequencies

MAX_FAILURES = 5
"""After so many failures of its own a document is marked ``failed``; waiting for a store is not one."""
LEASE_SECONDS = 30
"""A claimed document is nobody else's for so long; who works on it says so again in time, the dead do not."""
_MODEL_TITLE = 200


@dataclass(frozen=True, slots=True)
class Job:
    """A document that was claimed for indexing."""

    document_id: uuid.UUID
    revision: int
    title: str
    text: str
    attempts: int

    @property
    def fresh(self) -> bool:
        """Nobody can have written vectors of this document before."""
        return self.revision == 1 and self.attempts == 1


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk with what search needs of it. The id follows from document, revision and place."""

    id: uuid.UUID
    chunk: Chunk
    model_text: str
    terms: Counter[str]


@dataclass(frozen=True, slots=True)
class Indexed:
    """A document whose passages are embedded."""

    job: Job
    passages: Sequence[Passage]
    embeddings: Sequence[Sequence[float]]


def passages(job: Job) -> list[Passage]:
    """Cut a document. Title words belong to every passage, for the model and for BM25 alike."""
    result = []
    for chunk in chunks(job.text):
        titled = f"{job.title[:_MODEL_TITLE]}\n{chunk.text}"
        name = f"{job.revision}/{chunk.ordinal}"
        result.append(Passage(uuid.uuid5(job.document_id, name), chunk, titled, frequencies(titled)))
    return result
