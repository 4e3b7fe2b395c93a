"""Search in a tenant's passages: by meaning (Milvus), by words (BM25 in Postgres), or both at once, fused by rank.

Postgres decides what exists: a vector counts only when its passage is there, at its document's revision.
"""

from __future__ import annotations

import asyncio
from typing import Any

from voicehelper_core.context import TenantContext
from voicehelper_core.errors import Unavailable
from voicehelper_core.log import get_logger
from voicehelper_core.metrics import RETRIEVAL_RELEVANCE

from voicehelper_cell.embeddings import embed, similarity, unpack
from voicehelper_cell.retrieval import bm25, fusion, repository
from voicehelper_cell.retrieval.models import MAX_TERMS, Hit, Query
from voicehelper_cell.retrieval.terms import terms

log = get_logger(__name__)
_DEPTH = 50
_MAX_DEPTH = 1000
_EMBED_SECONDS = 5.0


class RetrievalService:
    """Finds passages of the tenant whose context is given."""

    def __init__(self, database: Any, vectors: Any, inference: Any) -> None:
        self._database, self._vectors, self._inference = database, vectors, inference

    async def retrieve(self, who: TenantContext, query: Query) -> list[Hit]:
        """The best passages. Hybrid goes on with words alone while vectors cannot be had; vector raises then."""
        depth = max(_DEPTH, 2 * query.top_k)
        found = list(dict.fromkeys(terms(query.text)))
        searching = asyncio.create_task(self._by_meaning(who, query, depth))  # while Postgres looks for the words
        try:
            corpus, words = await self._by_words(who, query, found[:MAX_TERMS], depth)
            meaning, candidates = await searching
        finally:
            searching.cancel()
        async with self._database.tenant(who) as connection:
            alive = await repository.alive(connection, [key for key, _ in candidates])
            while len(alive) < query.top_k and len(candidates) == depth < _MAX_DEPTH:
                depth = min(4 * depth, _MAX_DEPTH)
                candidates = await self._nearest(who, query, meaning, depth)
                alive = await repository.alive(connection, [key for key, _ in candidates])
            near = {key: score for key, score in candidates if key in alive}
            ranked = self._rank(query, near, words, fusion.meaning_counts(found))
            rows = await repository.passages(connection, [key for key, _ in ranked])
            if corpus is not None:
                words |= await bm25.of(connection, corpus, [key for key in rows if key not in words])
        hits = []
        for key, score in ranked:
            if key in rows:
                vector_score = near.get(key, 0.0) or _similarity(meaning, rows[key]["embedding"])
                hits.append(_hit(rows[key], score, vector_score, words.get(key, 0.0)))
        _observe(query, hits)
        return hits

    async def _by_meaning(self, who: TenantContext, query: Query, depth: int) -> tuple[Any, list[tuple[str, float]]]:
        """The query's vector, and the nearest passages, of which some may be gone; none of both without vectors."""
        meaning = [] if query.mode == "bm25" else await self._embed(query)
        return meaning, await self._nearest(who, query, meaning, depth) if meaning else []

    async def _by_words(
        self, who: TenantContext, query: Query, wanted: list[str], depth: int
    ) -> tuple[bm25.Corpus | None, dict[str, float]]:
        """BM25 of the best passages, best first."""
        if query.mode == "vector":
            return None, {}
        async with self._database.tenant(who) as connection:
            corpus = await bm25.corpus(connection, who.tenant_id, wanted)
            return corpus, await bm25.best(connection, corpus, depth)

    def _rank(
        self, query: Query, near: dict[str, float], words: dict[str, float], meaning_counts: bool
    ) -> list[tuple[str, float]]:
        if query.mode == "vector":
            return sorted(near.items(), key=lambda item: (-item[1], item[0]))[: query.top_k]
        if query.mode == "bm25":
            return list(words.items())[: query.top_k]
        weights = (1.0, 1.0) if meaning_counts else (2.0, 0.0)
        return fusion.fuse(zip(weights, (list(words), list(near)), strict=True))[: query.top_k]

    async def _embed(self, query: Query) -> Any:
        try:
            return (await embed(self._inference, [query.text], caller="retrieval", timeout=_EMBED_SECONDS))[0]
        except Unavailable as error:
            return self._degrade(query, error)

    async def _nearest(self, who: TenantContext, query: Query, meaning: Any, depth: int) -> list[tuple[str, float]]:
        try:
            found: list[tuple[str, float]] = await self._vectors.search(who, meaning, depth)
            return found
        except Unavailable as error:
            return self._degrade(query, error)

    def _degrade(self, query: Query, error: Unavailable) -> list[Any]:
        if query.mode == "vector":
            raise error
        log.warning("searching by words alone", mode=query.mode, reason=error.detail)
        return []


def _similarity(meaning: Any, embedding: bytes | None) -> float:
    """Of a passage that only its words found; 0 where the mode has no vector."""
    return similarity(meaning, unpack(embedding)) if meaning and embedding else 0.0


def _hit(row: Any, score: float, vector_score: float, bm25_score: float) -> Hit:
    return Hit(
        chunk_id=str(row["id"]),
        document_id=str(row["document_id"]),
        external_id=row["external_id"],
        title=row["title"],
        text=row["text"],
        start=row["start_offset"],
        end=row["end_offset"],
        score=score,
        vector_score=vector_score,
        bm25_score=bm25_score,
    )


def _observe(query: Query, hits: list[Hit]) -> None:
    """The best hit between 0 and 1: inner product, BM25 as s/(1+s), RRF as a part of the best possible."""
    best = hits[0].score if hits else 0.0
    if query.mode == "hybrid":
        best /= fusion.BEST
    elif query.mode == "bm25":
        best /= 1 + best
    RETRIEVAL_RELEVANCE.labels(query.mode).observe(best)
