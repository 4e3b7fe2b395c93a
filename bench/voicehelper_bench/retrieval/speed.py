"""Latency of the retrieval service by mode and by size of the tenant, peers taking turns with it at every question."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from voicehelper_cell.embeddings import embed
from voicehelper_cell.indexing.models import Job, passages
from voicehelper_cell.retrieval.models import Query
from voicehelper_core.context import TenantContext
from voicehelper_embedded.throwaway import Platform

from voicehelper_bench.figures import Report, median, quantile
from voicehelper_bench.retrieval import documents, indexes, load
from voicehelper_bench.retrieval.corpus import Corpus, Maker
from voicehelper_bench.retrieval.peers import Bm25s, MilvusAsItComes, Numpy, milvus_as_it_comes
from voicehelper_bench.retrieval.turns import turns
from voicehelper_bench.retrieval.world import World, opened

REAL_PASSAGES = 300
ROUTER_SIZE = 10_000
CLIENTS = 8


async def run(
    report: Report, platform: Platform, sizes: Sequence[int], many: Sequence[str], each: int, *, quick: bool
) -> None:
    """Load, measure each size, many tenants, the router, and Milvus' index types."""
    rounds = 40 if quick else 200
    async with opened(platform, [*(f"size-{size}" for size in sizes), *many]) as world:
        maker = await maker_of(world)
        corpora = {f"size-{size}": maker.corpus(size) for size in sizes} | {name: maker.corpus(each) for name in many}
        started = time.perf_counter()
        for name, corpus in corpora.items():
            report.note(f"loading {len(corpus.texts)} passages into {name}")
            await load.load(world, world.who[name], corpus)
        await load.vectors_are_there(world, {name: len(c.texts) for name, c in corpora.items()}, report.note)
        await load.tidy(platform, world)
        await load.calm(report.note)
        total = sum(len(corpus.texts) for corpus in corpora.values())
        report.add("load.passages", total / (time.perf_counter() - started), "passages/s", runs=total)
        async with milvus_as_it_comes() as milvus:
            for size in sizes:
                corpus = corpora[f"size-{size}"]
                await _one_size(report, world, milvus, corpus, maker.questions(corpus, rounds))
            await indexes.run(report, milvus, maker, rounds, quick=quick)
        await _many(report, world, {name: maker.questions(corpora[name], 8) for name in many})
    size = min(sizes, key=lambda n: abs(n - ROUTER_SIZE))
    _router(report, platform, size, maker.questions(corpora[f"size-{size}"], rounds))


async def maker_of(world: World) -> Maker:
    """What makes passages, from the banking documents. Raises FileNotFoundError."""
    banking = documents.banking()
    texts = [
        passage.model_text
        for document in banking[:150]
        for passage in passages(Job(documents.identity(document.key), 1, document.title, document.text, 1))
    ][:REAL_PASSAGES]
    vectors = await embed(world.inference, texts, caller="indexing", timeout=300)
    words = [f"{document.title} {document.text}" for document in banking]
    return Maker(words, np.array(vectors, dtype=np.float32))


async def _one_size(
    report: Report, world: World, milvus: MilvusAsItComes, corpus: Corpus, questions: Sequence[str]
) -> None:
    size = len(corpus.texts)
    who, numpy, bm25s = world.who[f"size-{size}"], Numpy(corpus.vectors), Bm25s(corpus.texts)
    report.note(f"measuring {size} passages")
    await milvus.fill(f"size_{size}", corpus, "FLAT")
    embedded = await embed(world.inference, questions, caller="indexing", timeout=300)
    vectors = dict(zip(questions, embedded, strict=True))  # as the product has them
    arrays: dict[str, Any] = {question: np.array(vector) for question, vector in vectors.items()}

    async def brute(question: str) -> None:
        numpy.search(arrays[question])

    async def words(question: str) -> None:
        bm25s.search(question)

    samples = await turns(
        {
            "hybrid": lambda question: retrieve(world, who, question, "hybrid"),
            "vector": lambda question: retrieve(world, who, question, "vector"),
            "bm25": lambda question: retrieve(world, who, question, "bm25"),
            "embed": lambda question: embed(world.inference, [question], caller="retrieval", timeout=30),
            "milvus": lambda question: world.vectors.search(who, vectors[question], 50),
            "milvus_as_it_comes": lambda question: milvus.search(f"size_{size}", vectors[question]),
            "bm25s": words,
            "numpy": brute,
        },
        questions,
    )
    peers = {"milvus": "milvus_as_it_comes", "vector": "numpy", "bm25": "bm25s", "milvus_as_it_comes": "numpy"}
    for name, values in samples.items():
        peer = peers.get(name)
        ratio = median(values) / median(samples[peer]) if peer else None
        report.add(f"{name}.{size}.p50", median(values), "ms", peer=peer, ratio=ratio, runs=len(values))
        report.add(f"{name}.{size}.p95", quantile(values, 0.95), "ms", runs=len(values))
    found = [
        len(await _nearest(world, who, vectors[q]) & {str(load.chunk_id(who, n)) for n in numpy.search(arrays[q], 10)})
        for q in questions
    ]
    report.add(f"recall.{size}", sum(found) / (10 * len(found)), "ratio", peer="numpy", runs=len(found))


async def _nearest(world: World, who: TenantContext, vector: Any) -> set[str]:
    return {key for key, _ in await world.vectors.search(who, vector, 10)}


async def retrieve(world: World, who: TenantContext, question: str, mode: str, top_k: int = 10) -> list[Any]:
    """A search by the service."""
    found: list[Any] = await world.service.retrieve(who, Query.checked(question, mode, top_k))
    return found


async def _many(report: Report, world: World, questions: Mapping[str, Sequence[str]]) -> None:
    """Tenants in turn, first one question at a time, then from several clients at once."""
    report.note(f"asking {len(questions)} tenants in turn")
    turns_of_all = zip(*questions.values(), strict=True)
    asked = [pair for turn in turns_of_all for pair in zip(questions, turn, strict=True)]
    for clients in (1, CLIENTS):
        seconds: list[float] = []
        waiting = iter(asked)

        async def client(waiting: Any = waiting, seconds: list[float] = seconds) -> None:
            for name, question in waiting:
                started = time.perf_counter()
                await retrieve(world, world.who[name], question, "hybrid")
                seconds.append(time.perf_counter() - started)

        started = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(clients)))
        metric = f"tenants.{len(questions)}.hybrid.{clients}"
        report.add(f"{metric}.p50", 1e3 * median(seconds), "ms", runs=len(seconds))
        report.add(f"{metric}.p95", 1e3 * quantile(seconds, 0.95), "ms", runs=len(seconds))
        report.add(f"{metric}.rate", len(seconds) / (time.perf_counter() - started), "searches/s", runs=len(seconds))


def _router(report: Report, platform: Platform, size: int, questions: Sequence[str]) -> None:
    with platform.client(f"size-{size}") as client:
        for mode in ("hybrid", "vector", "bm25"):
            seconds = []
            for question in questions:
                started = time.perf_counter()
                answer = client.post("/api/v1/knowledge/search", json={"query": question, "top_k": 10, "mode": mode})
                seconds.append(time.perf_counter() - started)
                answer.raise_for_status()
            report.add(f"router.{mode}.{size}.p50", 1e3 * median(seconds), "ms", runs=len(seconds))
            report.add(f"router.{mode}.{size}.p95", 1e3 * quantile(seconds, 0.95), "ms", runs=len(seconds))
