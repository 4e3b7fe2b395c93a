"""A search for Milvus Lite 3.2 whose work in Python depends on the number of hits, not of stored rows.

The library's ``execute_search_with_index`` walks every row of a partition in Python before it asks an index (which
row of a key is the newest, which are deleted), its flat index copies all vectors for each query, and every hit is
read with all its columns, the vector included: about 0.5 microseconds a row and 50 a hit, whichever the index type,
all under the interpreter's lock. Here each source (segment, memtable) is asked first; only what it found is checked
against newer rows and tombstones. Where such a check takes hits away, more are asked for until the answer is exact.

``install`` puts it into the library. What it does not cover (filters, nullable vectors) goes the library's own way.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from milvus_lite.search.distance import compute_distances

Floats = npt.NDArray[np.float32]
Answer = list[list[dict[str, Any]]]
Search = Callable[..., Answer]
_MORE = 4  # times as many hits are asked for where deleted ones took the place of living ones


class Source(Protocol):
    """Rows that are searched together; a row is known by its number."""

    def nearest(self, query: Floats, k: int) -> Iterable[tuple[float, int]]:
        """The ``k`` rows of smallest distance, ascending; fewer only where there are fewer."""

    def key(self, row: int) -> tuple[Any, int]:
        """A row's primary key and sequence number."""

    def newest(self, pk: Any) -> int:
        """Sequence number of the key's row in this source; -1 where it has none."""

    def read(self, row: int, fields: Sequence[str] | None) -> dict[str, Any]:
        """A row, or those columns of it."""


def nearest(vectors: Floats, query: Floats, k: int, metric: str) -> list[tuple[float, int]]:
    """Exact search in ``vectors`` (n, dim), which are not copied."""
    distances = compute_distances(query, vectors, metric)
    best = np.argpartition(distances, k - 1)[:k] if k < len(distances) else np.arange(len(distances))
    order = best[np.lexsort((best, distances[best]))]
    return list(zip(distances[order].tolist(), order.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class SegmentSource:
    """An immutable segment with its index, or without one while it is being built."""

    segment: Any
    vectors: Floats
    index: Any
    metric: str
    params: dict[str, Any] | None

    def nearest(self, query: Floats, k: int) -> Iterable[tuple[float, int]]:
        if self.index is None or self.index.index_type == "BRUTE_FORCE":
            return nearest(self.vectors, query, k, self.metric)
        rows, distances = self.index.search(query, k, valid_mask=None, params=self.params)
        found = zip(distances[0].tolist(), rows[0].tolist(), strict=True)
        return [(distance, row) for distance, row in found if row >= 0]

    def key(self, row: int) -> tuple[Any, int]:
        return self.segment.pks[row], int(self.segment.seqs[row])

    def newest(self, pk: Any) -> int:
        row = self.segment.pk_to_row.get(pk)
        return -1 if row is None else int(self.segment.seqs[row])

    def read(self, row: int, fields: Sequence[str] | None) -> dict[str, Any]:
        if fields is None:
            whole: dict[str, Any] = self.segment.row_to_dict(row)
            return whole
        return {name: self.segment.table.column(name)[row].as_py() for name in fields}


class MemtableSource:
    """The rows of the partitions that were not written to a segment yet, as they are now."""

    def __init__(self, memtable: Any, vector_field: str, partitions: Sequence[str] | None, metric: str) -> None:
        with memtable._lock:
            batches, positions = list(memtable._insert_batches), list(memtable._pk_index.items())
        self._memtable, self._metric = memtable, metric
        by_batch: dict[int, list[tuple[Any, int, int, int]]] = {}
        for pk, (batch, row, seq) in positions:
            by_batch.setdefault(batch, []).append((pk, batch, row, seq))
        self._rows: list[tuple[Any, int, int, int]] = []  # key, batch, row, sequence number
        parts = []
        for batch, rows in by_batch.items():
            partition_of = batches[batch].column("_partition").to_pylist()
            inside = [entry for entry in rows if not partitions or partition_of[entry[2]] in partitions]
            if inside:
                self._rows += inside
                parts.append(_matrix(batches[batch].column(vector_field))[[entry[2] for entry in inside]])
        self._newest = {pk: seq for pk, _, _, seq in self._rows}
        self._vectors: Floats = np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)

    def __len__(self) -> int:
        return len(self._rows)

    def nearest(self, query: Floats, k: int) -> Iterable[tuple[float, int]]:
        return nearest(self._vectors, query, k, self._metric)

    def key(self, row: int) -> tuple[Any, int]:
        pk, _, _, seq = self._rows[row]
        return pk, seq

    def newest(self, pk: Any) -> int:
        return self._newest.get(pk, -1)

    def read(self, row: int, fields: Sequence[str] | None) -> dict[str, Any]:
        _, batch, number, _ = self._rows[row]
        record: dict[str, Any] = self._memtable.materialize_row(batch, number)
        return record


def _matrix(column: Any) -> Floats:
    """(n, dim) view of a FixedSizeList column."""
    flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    return np.asarray(flat.reshape(len(column), -1))


def best(
    sources: Sequence[Source], query: Floats, k: int, deleted: Callable[[Any, int], bool]
) -> list[tuple[float, int, int]]:
    """The ``k`` nearest living rows of all sources as (distance, number of the source, row), nearest first."""
    asked = k
    while True:
        found = [list(source.nearest(query, asked)) for source in sources]
        # Beyond the last row of a source that had more to give nothing is known yet.
        known = min((rows[-1][0] for rows in found if len(rows) >= asked), default=float("inf"))
        merged = heapq.merge(
            *([(distance, number, row) for distance, row in rows] for number, rows in enumerate(found))
        )
        living: list[tuple[float, int, int]] = []
        for distance, number, row in merged:
            if len(living) == k or distance > known:
                break
            pk, seq = sources[number].key(row)
            if not deleted(pk, seq) and all(seq >= source.newest(pk) for source in sources):
                living.append((distance, number, row))
        if len(living) == k or known == float("inf"):
            return living
        asked *= _MORE


def searcher(original: Search) -> Search:
    """A function with ``original``'s parameters (by name, as the library calls it) and answers."""

    def search(**call: Any) -> Answer:
        field, metric, partitions = call["vector_field"], call["metric_type"], call["partition_names"]
        call["segments"] = segments = tuple(call["segments"])
        memtable, graves = call["memtable"], call["delta_index"]
        scope = [s for s in segments if s.num_rows and (not partitions or s.partition in partitions)]
        if call["compiled_filter"] is not None or call["top_k"] < 1 or _nullable(memtable, field):
            return original(**call)
        sources: list[Any] = [
            SegmentSource(s, s.vector_data(field)[0], s.indexes.get(field), metric, call["search_params"])
            for s in scope
        ]
        fresh = MemtableSource(memtable, field, partitions, metric)
        if len(fresh):
            sources.append(fresh)
        loose_graves = memtable.delete_index_snapshot()

        def deleted(pk: Any, seq: int) -> bool:
            return graves.is_deleted(pk, seq) or (pk in loose_graves and loose_graves[pk][0] > seq)

        wanted = call["output_fields"]
        names = {item.name for item in memtable._schema.fields}
        columns = list(dict.fromkeys(wanted)) if wanted is not None and names.issuperset(wanted) else None
        answer = []
        for query in np.atleast_2d(np.asarray(call["query_vectors"], np.float32)):
            hits = []
            for distance, number, row in best(sources, query, call["top_k"], deleted):
                entity = call["project_record_fn"](sources[number].read(row, columns))
                hits.append({"id": sources[number].key(row)[0], "distance": distance, "entity": entity})
            answer.append(hits)
        return answer

    return search


def _nullable(memtable: Any, field: str) -> bool:
    return any(item.name == field and item.nullable for item in memtable._schema.fields)


def install() -> None:
    """Let collections search like this. Raises ImportError where the library has no such function to replace."""
    from milvus_lite.engine import collection
    from milvus_lite.search.executor_indexed import execute_search_with_index

    if collection.execute_search_with_index is not execute_search_with_index:
        raise ImportError("Milvus Lite searches in another way than this version knows")
    collection.execute_search_with_index = searcher(execute_search_with_index)
