"""What the index types of Milvus Lite cost and find, on its own server, without the product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from voicehelper_bench.figures import Report, median, quantile
from voicehelper_bench.retrieval.corpus import Maker
from voicehelper_bench.retrieval.peers import MilvusAsItComes, Numpy
from voicehelper_bench.retrieval.turns import turns

SIZES, QUICK_SIZES = (2_000, 10_000, 50_000), (2_000,)
KINDS = ("FLAT", "HNSW", "HNSW_SQ", "IVF_FLAT")
K = 10


@dataclass(slots=True)
class Collection:
    """One index type on one corpus; remembers what it found."""

    milvus: MilvusAsItComes
    name: str
    queries: Sequence[Sequence[float]]
    found: dict[int, set[int]] = field(default_factory=dict)

    async def search(self, number: int) -> None:
        """The query with this number."""
        self.found[number] = set((await self.milvus.search(self.name, self.queries[number]))[:K])


async def run(report: Report, milvus: MilvusAsItComes, maker: Maker, rounds: int, *, quick: bool) -> None:
    """Time until ready, latency, and recall@10 against exact search."""
    for size in QUICK_SIZES if quick else SIZES:
        report.note(f"comparing index types on {size} vectors")
        corpus, queries = maker.corpus(size), maker.corpus(rounds).vectors
        exact = [set(Numpy(corpus.vectors).search(query, K)) for query in queries]
        collections = {}
        for kind in KINDS:
            name = f"{kind.lower()}_{size}"
            report.add(f"index.{kind.lower()}.{size}.ready", await milvus.fill(name, corpus, kind), "s")
            collections[kind] = Collection(milvus, name, [query.tolist() for query in queries])
        samples = await turns({kind: made.search for kind, made in collections.items()}, range(rounds))
        for kind, values in samples.items():
            _add(report, f"index.{kind.lower()}.{size}", values, _recall(collections[kind].found, exact))


def _recall(found: dict[int, set[int]], exact: Sequence[set[int]]) -> float:
    return sum(len(found[number] & wanted) for number, wanted in enumerate(exact)) / (K * len(exact))


def _add(report: Report, metric: str, values: Sequence[float], recall: float) -> None:
    report.add(f"{metric}.p50", median(values), "ms", runs=len(values))
    report.add(f"{metric}.p95", quantile(values, 0.95), "ms", runs=len(values))
    report.add(f"{metric}.recall", recall, "ratio", peer="numpy", runs=len(values))
