"""What the product is compared with: Milvus Lite as it comes, bm25s in memory, and numpy, which is the floor."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from voicehelper_cell.retrieval.terms import terms
from voicehelper_core.milvus import Column, Index, MilvusClient, MilvusError

from voicehelper_bench.retrieval.corpus import Corpus, Floats

K = 50
"""Hits that the product asks each retriever for."""
HNSW = {"M": 16, "efConstruction": 256}
_COLUMNS = (
    Column("id", "Int64", primary=True),
    Column("chunk_id", "VarChar", 64),
    Column("embedding", "FloatVector", 384),
)


class Numpy:
    """Exact search: one product and a partial sort."""

    def __init__(self, vectors: Floats) -> None:
        self._vectors = np.ascontiguousarray(vectors)

    def search(self, query: Floats, k: int = K) -> list[int]:
        """Numbers of the ``k`` nearest, nearest first."""
        scores = self._vectors @ query
        best = np.argpartition(-scores, min(k, len(scores) - 1))[:k]
        return [int(n) for n in best[np.argsort(-scores[best])]]


class Bm25s:
    """bm25s (Lù, 2024) over the same terms, k1 and b as the product's."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._index = index([terms(text) for text in texts])
        self._size = len(texts)

    def search(self, question: str, k: int = K) -> list[int]:
        """Numbers of the best passages, best first."""
        return best(self._index, terms(question), min(k, self._size))


def index(bags: Sequence[Sequence[str]]) -> Any:
    """An index of bm25s (Lucene's formula, which is the product's too)."""
    import bm25s

    made = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
    made.index([list(bag) for bag in bags], show_progress=False)
    return made


def best(made: Any, words: Sequence[str], k: int) -> list[int]:
    """Numbers of the ``k`` best, best first."""
    found, _ = made.retrieve([list(dict.fromkeys(words))], k=k, show_progress=False)
    return [int(number) for number in found[0]]


class MilvusAsItComes:
    """A server of the unchanged library with one collection for each index type, one partition each."""

    def __init__(self, client: MilvusClient, pid: int) -> None:
        self._client, self._process = client, psutil.Process(pid)

    async def fill(self, name: str, corpus: Corpus, kind: str) -> float:
        """Insert, flush, and wait until the server is idle, so that its index is there; seconds."""
        started = time.perf_counter()
        await self._client.create_collection(name, list(_COLUMNS))
        await self._client.create_index(name, Index("embedding", kind, "IP", HNSW if kind == "HNSW" else {}))
        await self._client.load_collection(name)
        await self._client.create_partition(name, "t")
        for first in range(0, len(corpus.texts), 500):
            rows = [
                {"chunk_id": str(first + n), "embedding": vector.tolist()}
                for n, vector in enumerate(corpus.vectors[first : first + 500])
            ]
            await self._client.insert(name, rows, partition_name="t", timeout=120)
        await self._client.flush(name, timeout=600)
        await self._idle()
        return time.perf_counter() - started

    async def _idle(self) -> None:
        """Indexes are built in the background after a flush, and nothing tells when they are ready."""
        quiet = 0
        async with asyncio.timeout(1200):
            while quiet < 4:
                before = sum(self._process.cpu_times()[:2])
                await asyncio.sleep(0.5)
                quiet = quiet + 1 if sum(self._process.cpu_times()[:2]) - before < 0.02 else 0

    async def search(self, name: str, query: Any, k: int = K) -> list[int]:
        """Numbers of the nearest."""
        found = await self._client.search(
            name, query, limit=k, partition_names=["t"], output_fields=["chunk_id"],
            search_params={"metric_type": "IP", "params": {"ef": 128}}, timeout=60,
        )  # fmt: skip
        return [int(fields["chunk_id"]) for _, fields in found]


@asynccontextmanager
async def milvus_as_it_comes() -> AsyncIterator[MilvusAsItComes]:
    """The library's own server, with one thread of linear algebra as the product's. Raises TimeoutError."""
    with socket.socket() as free, tempfile.TemporaryDirectory(prefix="vh-bench-milvus-") as folder:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        program = str(Path(sys.executable).with_name("milvus-lite"))
        process = await asyncio.create_subprocess_exec(
            program, "server", "--data-dir", folder, "--host", "127.0.0.1", "--port", str(port),
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        client = MilvusClient(f"http://127.0.0.1:{port}")
        try:
            async with asyncio.timeout(120):
                while True:
                    try:
                        await client.has_collection("none")
                        break
                    except MilvusError:
                        await asyncio.sleep(0.3)
            yield MilvusAsItComes(client, process.pid)
        finally:
            await client.close()
            process.terminate()
            await process.wait()
