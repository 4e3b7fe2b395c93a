"""The cell's retrieval service runs in the benchmark's process, on the Postgres, Milvus and inference of a platform of
its own and with a cell's own credentials; 200 questions a size, all modes and peers taking turns at each question.

Passages of the sizes are not embedded one by one: their words are drawn from real documents as often as they occur
there, with rare ones added, and their vectors lie around real ones. Postings and embeddings are written by indexing's
own repository, and the cell puts the vectors into Milvus by its own repair ([[load.passages]] in all); the tables are
vacuumed then, as autovacuum does soon after a load. Questions are three to seven words of one passage, and embedded for
real ([[embed.10000.p50]] of each search by vectors).

| passages in the tenant | search | P50 | P95 |
|---|---|---|---|
| 1,000 | hybrid | [[hybrid.1000.p50]] | [[hybrid.1000.p95]] |
| 1,000 | vector | [[vector.1000.p50]] | [[vector.1000.p95]] |
| 1,000 | bm25 | [[bm25.1000.p50]] | [[bm25.1000.p95]] |
| 10,000 | hybrid | [[hybrid.10000.p50]] | [[hybrid.10000.p95]] |
| 10,000 | vector | [[vector.10000.p50]] | [[vector.10000.p95]] |
| 10,000 | bm25 | [[bm25.10000.p50]] | [[bm25.10000.p95]] |
| 100,000 | hybrid | [[hybrid.100000.p50]] | [[hybrid.100000.p95]] |
| 100,000 | vector | [[vector.100000.p50]] | [[vector.100000.p95]] |
| 100,000 | bm25 | [[bm25.100000.p50]] | [[bm25.100000.p95]] |

Peers in the same turns, P50. "Milvus" is the search of its server alone, here and as the library comes; numpy is one
matrix product, the floor; bm25s holds its index in memory and has no tenants, no transactions and no server. Recall@10
of Milvus here against exact search: [[recall.10000]] at 10,000 vectors, [[recall.100000]] at 100,000.

| passages | Milvus here | as it comes | numpy | BM25 here | bm25s |
|---|---|---|---|---|---|
| 1,000 | [[milvus.1000.p50]] | [[milvus_as_it_comes.1000.p50]] | [[numpy.1000.p50]] | [[bm25.1000.p50]] | [[bm25s.1000.p50]] |
| 10,000 | [[milvus.10000.p50]] | [[milvus_as_it_comes.10000.p50]] | [[numpy.10000.p50]] | [[bm25.10000.p50]] | [[bm25s.10000.p50]] |
| 100,000 | [[milvus.100000.p50]] | [[milvus_as_it_comes.100000.p50]] | [[numpy.100000.p50]] | [[bm25.100000.p50]] | [[bm25s.100000.p50]] |

50 tenants of 2,000 passages in one cell, asked in turn: hybrid P95 [[tenants.50.hybrid.1.p95]] one question at a time;
from eight clients at once [[tenants.50.hybrid.8.rate]], P95 [[tenants.50.hybrid.8.p95]]. Through the router, token and
HTTP included, at 10,000 passages: hybrid P50 [[router.hybrid.10000.p50]], P95 [[router.hybrid.10000.p95]].

### Why the index is flat

The library's own server, without ours; HNSW with M 16, efConstruction 256, ef 128. Whatever the type, the library walks
every row in Python before it asks the index, and an index is only there some time after the rows. Ours leaves out the
walk ([ADR 14](adr/0014-milvus-lite-flat-with-a-search-of-ours.md)).

| vectors | index | ready after | search P50 | P95 | recall@10 |
|---|---|---|---|---|---|
| 2,000 | FLAT | [[index.flat.2000.ready]] | [[index.flat.2000.p50]] | [[index.flat.2000.p95]] | [[index.flat.2000.recall]] |
| 2,000 | HNSW | [[index.hnsw.2000.ready]] | [[index.hnsw.2000.p50]] | [[index.hnsw.2000.p95]] | [[index.hnsw.2000.recall]] |
| 2,000 | HNSW_SQ | [[index.hnsw_sq.2000.ready]] | [[index.hnsw_sq.2000.p50]] | [[index.hnsw_sq.2000.p95]] | [[index.hnsw_sq.2000.recall]] |
| 2,000 | IVF_FLAT | [[index.ivf_flat.2000.ready]] | [[index.ivf_flat.2000.p50]] | [[index.ivf_flat.2000.p95]] | [[index.ivf_flat.2000.recall]] |
| 10,000 | FLAT | [[index.flat.10000.ready]] | [[index.flat.10000.p50]] | [[index.flat.10000.p95]] | [[index.flat.10000.recall]] |
| 10,000 | HNSW | [[index.hnsw.10000.ready]] | [[index.hnsw.10000.p50]] | [[index.hnsw.10000.p95]] | [[index.hnsw.10000.recall]] |
| 10,000 | HNSW_SQ | [[index.hnsw_sq.10000.ready]] | [[index.hnsw_sq.10000.p50]] | [[index.hnsw_sq.10000.p95]] | [[index.hnsw_sq.10000.recall]] |
| 10,000 | IVF_FLAT | [[index.ivf_flat.10000.ready]] | [[index.ivf_flat.10000.p50]] | [[index.ivf_flat.10000.p95]] | [[index.ivf_flat.10000.recall]] |
| 50,000 | FLAT | [[index.flat.50000.ready]] | [[index.flat.50000.p50]] | [[index.flat.50000.p95]] | [[index.flat.50000.recall]] |
| 50,000 | HNSW | [[index.hnsw.50000.ready]] | [[index.hnsw.50000.p50]] | [[index.hnsw.50000.p95]] | [[index.hnsw.50000.recall]] |
| 50,000 | HNSW_SQ | [[index.hnsw_sq.50000.ready]] | [[index.hnsw_sq.50000.p50]] | [[index.hnsw_sq.50000.p95]] | [[index.hnsw_sq.50000.recall]] |
| 50,000 | IVF_FLAT | [[index.ivf_flat.50000.ready]] | [[index.ivf_flat.50000.p50]] | [[index.ivf_flat.50000.p95]] | [[index.ivf_flat.50000.recall]] |

### Quality

Documents come in through the API (Chinese [[ingest.quality-chinese]], English [[ingest.quality-english]], embedding
included). Chinese: CMRC 2018 dev, 848 paragraphs, 3,219 questions. English: 698 documents of a bank, asked by their
titles, which are not indexed. One document is right for each question; bm25s ranks whole documents.

| set | search | nDCG@10 | 95 % interval | recall@10 |
|---|---|---|---|---|
| Chinese | vector | [[cmrc.vector.ndcg]] | [[cmrc.vector.ndcg.low]] to [[cmrc.vector.ndcg.high]] | [[cmrc.vector.recall]] |
| Chinese | bm25 | [[cmrc.bm25.ndcg]] | [[cmrc.bm25.ndcg.low]] to [[cmrc.bm25.ndcg.high]] | [[cmrc.bm25.recall]] |
| Chinese | hybrid | [[cmrc.hybrid.ndcg]] | [[cmrc.hybrid.ndcg.low]] to [[cmrc.hybrid.ndcg.high]] | [[cmrc.hybrid.recall]] |
| Chinese | bm25s, pairs of characters | [[cmrc.bm25s_bigrams.ndcg]] | [[cmrc.bm25s_bigrams.ndcg.low]] to [[cmrc.bm25s_bigrams.ndcg.high]] | [[cmrc.bm25s_bigrams.recall]] |
| Chinese | bm25s, jieba | [[cmrc.bm25s_jieba.ndcg]] | [[cmrc.bm25s_jieba.ndcg.low]] to [[cmrc.bm25s_jieba.ndcg.high]] | [[cmrc.bm25s_jieba.recall]] |
| English | vector | [[banking.vector.ndcg]] | [[banking.vector.ndcg.low]] to [[banking.vector.ndcg.high]] | [[banking.vector.recall]] |
| English | bm25 | [[banking.bm25.ndcg]] | [[banking.bm25.ndcg.low]] to [[banking.bm25.ndcg.high]] | [[banking.bm25.recall]] |
| English | hybrid | [[banking.hybrid.ndcg]] | [[banking.hybrid.ndcg.low]] to [[banking.hybrid.ndcg.high]] | [[banking.hybrid.recall]] |
| English | bm25s, our terms | [[banking.bm25s_terms.ndcg]] | [[banking.bm25s_terms.ndcg.low]] to [[banking.bm25s_terms.ndcg.high]] | [[banking.bm25s_terms.recall]] |

The embedding model in the package is English: to it Chinese is a row of single characters, which its rows show. So a
question that it cannot read is ranked by its words
([ADR 15](adr/0015-what-the-model-cannot-read-is-ranked-by-words.md)), and fusion does not fall below the better half.
"""

from __future__ import annotations

from voicehelper_bench.goals import Goal
from voicehelper_bench.plots import Plot

TITLE = "Retrieval"
_SIZES = (1_000, 10_000, 100_000)
_HYBRID = (
    "its parts are words (P50 [[bm25.10000.p50]], P95 [[bm25.10000.p95]]) beside the embedding of the question "
    "([[embed.10000.p50]], [[embed.10000.p95]]) and then Milvus ([[milvus.10000.p50]], [[milvus.10000.p95]]), on two cores "
    "whose pace varies by 2x: through the router the same search had a P95 of 32 ms in a run on 2026-11-29 and "
    "[[router.hybrid.10000.p95]] in this one"
)
GOALS: tuple[Goal, ...] = (
    Goal("hybrid search at 10,000 passages in a tenant, P95", "hybrid.10000.p95", "<=", 40, why=_HYBRID),
    Goal("Milvus' search at 10,000 vectors against Milvus Lite as it comes", "milvus.10000.p50", "<=", 1, of="ratio"),
    Goal("hybrid against the better of its halves, Chinese, nDCG@10", "cmrc.hybrid.ndcg", ">=", 0.99, of="ratio"),
    Goal("hybrid against the better of its halves, English, nDCG@10", "banking.hybrid.ndcg", ">=", 0.99, of="ratio"),
)
PLOTS: tuple[Plot, ...] = (
    Plot(
        "retrieval-latency",
        "Searches in one tenant, P95",
        "ms",
        [f"{size:,} passages" for size in _SIZES],
        {mode: [f"{mode}.{size}.p95" for size in _SIZES] for mode in ("hybrid", "vector", "bm25")},
        goal=40,
        log=True,
    ),
    Plot(
        "retrieval-milvus",
        "Search of vectors alone, P50",
        "ms",
        [f"{size:,} vectors" for size in _SIZES],
        {
            "Milvus Lite as it comes": [f"milvus_as_it_comes.{size}.p50" for size in _SIZES],
            "Milvus Lite here": [f"milvus.{size}.p50" for size in _SIZES],
            "numpy": [f"numpy.{size}.p50" for size in _SIZES],
        },
        log=True,
    ),
)
