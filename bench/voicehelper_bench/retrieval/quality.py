"""nDCG@10 and recall@10 of the product on documents that came in through its API, beside bm25s in memory."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
from voicehelper_cell.retrieval.terms import terms
from voicehelper_embedded.throwaway import Platform

from voicehelper_bench.figures import Report
from voicehelper_bench.retrieval import documents, peers
from voicehelper_bench.retrieval.documents import Document, Question
from voicehelper_bench.retrieval.speed import retrieve
from voicehelper_bench.retrieval.world import World, opened

CHINESE, ENGLISH = "quality-chinese", "quality-english"
TENANTS = (CHINESE, ENGLISH)
MODES = ("vector", "bm25", "hybrid")
PASSAGES = 100
"""Asked for, since several of one document may come before the tenth document."""
CLIENTS, QUICK_QUESTIONS, QUICK_DOCUMENTS = 4, 200, 120
_INDEX_SECONDS = 1800.0
_PATH = "/api/v1/knowledge/documents"


async def run(report: Report, platform: Platform, *, quick: bool) -> None:
    """Chinese and English."""
    chinese, asked = documents.cmrc()
    english = [Document(document.key, "", document.text) for document in documents.banking()]
    await _one(report, platform, "cmrc", *(_few(chinese, asked) if quick else (chinese, asked)))
    titles = documents.banking_questions()
    await _one(report, platform, "banking", *(_few(english, titles) if quick else (english, titles)))


def _few(texts: list[Document], questions: list[Question]) -> tuple[list[Document], list[Question]]:
    """The first documents, and questions about these."""
    few = texts[:QUICK_DOCUMENTS]
    there = {document.key for document in few}
    return few, [question for question in questions if question.gold in there][:QUICK_QUESTIONS]


async def _one(
    report: Report, platform: Platform, name: str, texts: Sequence[Document], questions: Sequence[Question]
) -> None:
    tenant = CHINESE if name == "cmrc" else ENGLISH
    report.note(f"uploading {len(texts)} documents of {name}")
    await asyncio.to_thread(_upload, report, platform, tenant, texts)
    async with opened(platform, [tenant]) as world:
        gains = {}
        for mode in MODES:
            report.note(f"asking {len(questions)} questions of {name}, {mode}")
            gains[mode] = await _gains(world, tenant, mode, questions)
        better = max(float(np.mean(gains[mode])) for mode in ("vector", "bm25"))
        for mode in MODES:
            score(report, f"{name}.{mode}", gains[mode], better if mode == "hybrid" else None)
    await asyncio.to_thread(_peers, report, name, texts, questions)


def _upload(report: Report, platform: Platform, tenant: str, texts: Sequence[Document]) -> None:
    """Upload all, then wait until none waits. Raises RuntimeError where one fails, TimeoutError where it takes long."""
    started = time.perf_counter()
    with platform.client(tenant) as client, ThreadPoolExecutor(CLIENTS) as pool:

        def upload(document: Document) -> None:
            body = {"title": "untitled", "content": document.text, "external_id": document.key}
            client.post(_PATH, json=body).raise_for_status()

        list(pool.map(upload, texts))
        while states := _unfinished(client):
            if "failed" in states:
                raise RuntimeError("a document could not be indexed")
            if time.perf_counter() - started > _INDEX_SECONDS:
                raise TimeoutError(f"{len(states)} documents of {tenant} are not indexed")
            time.sleep(1)
    seconds = time.perf_counter() - started
    report.add(f"ingest.{tenant}", len(texts) / seconds, "documents/s", runs=len(texts))


def _unfinished(client: httpx.Client) -> list[str]:
    """States of the documents that are not indexed."""
    states, cursor = [], ""
    while True:
        page = client.get(_PATH, params={"limit": 100} | ({"cursor": cursor} if cursor else {}))
        page.raise_for_status()
        states += [item["status"] for item in page.json()["items"] if item["status"] != "indexed"]
        cursor = page.json().get("next_cursor") or ""
        if not cursor:
            return states


async def _gains(world: World, tenant: str, mode: str, questions: Sequence[Question]) -> list[float]:
    """nDCG@10 of each question."""
    gains, waiting = [0.0] * len(questions), iter(enumerate(questions))

    async def client() -> None:
        for number, question in waiting:
            hits = await retrieve(world, world.who[tenant], question.text, mode, PASSAGES)
            gains[number] = gain([hit.external_id for hit in hits], question.gold)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return gains


def _peers(report: Report, name: str, texts: Sequence[Document], questions: Sequence[Question]) -> None:
    ways: dict[str, Callable[[str], list[str]]] = {"bm25s_terms": terms}
    if name == "cmrc":
        import jieba

        jieba.setLogLevel(40)
        ways = {"bm25s_bigrams": _bigrams, "bm25s_jieba": lambda text: [w for w in jieba.lcut(text) if w.strip()]}
    for way, cut in ways.items():
        made = peers.index([cut(document.text) for document in texts])
        gains = []
        for question in questions:
            found = peers.best(made, cut(question.text), 10)
            gains.append(gain([texts[number].key for number in found], question.gold))
        score(report, f"{name}.{way}", gains)


def _bigrams(text: str) -> list[str]:
    return [text[at : at + 2] for at in range(len(text) - 1)]


def gain(found: Sequence[str], gold: str) -> float:
    """nDCG@10 of one question with one right document; documents count where they come first."""
    first = list(dict.fromkeys(found))[:10]
    return 1 / math.log2(first.index(gold) + 2) if gold in first else 0.0


def score(report: Report, metric: str, gains: Sequence[float], better: float | None = None) -> None:
    """Means with bootstrap 95 % intervals over questions; ``better`` is nDCG@10 of the better half of hybrid."""
    values = np.array(gains)
    for name, sample in (("ndcg", values), ("recall", (values > 0).astype(float))):
        low, high = interval(sample)
        mean, peer, ratio = float(sample.mean()), None, None
        if better and name == "ndcg":
            peer, ratio = "the better of vector and BM25", mean / better
        report.add(f"{metric}.{name}", mean, "ratio", peer=peer, ratio=ratio, runs=len(sample))
        report.add(f"{metric}.{name}.low", low, "ratio", runs=len(sample))
        report.add(f"{metric}.{name}.high", high, "ratio", runs=len(sample))


def interval(values: np.ndarray[tuple[int], np.dtype[np.float64]], resamples: int = 2000) -> tuple[float, float]:
    """The percentile bootstrap's 95 % interval of the mean; the same for the same values."""
    random = np.random.default_rng(11)
    means = [values[random.integers(len(values), size=len(values))].mean() for _ in range(resamples)]
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))
