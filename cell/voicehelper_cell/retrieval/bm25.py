"""BM25 over the tenant's postings in Postgres, exact, without reading what cannot matter.

A question's frequent words have most of the postings and least of the weight. The postings of the others nominate
passages; the frequent words are only looked up for those of them that can still be among the best (MaxScore: Turtle
and Flood, 1995). Where the bound does not hold, every posting is read.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

K1, B = 1.2, 0.75
_NOMINATED, _FIRST = 20, 4  # times as many passages as are wanted: nominated at most, and scored at once

# $4 is K1 * B / (mean length of a passage). Bare constants would be decimals, whose arithmetic is ten times slower.
_WEIGHT = f"p.frequency * {K1 + 1}::float8 / (p.frequency + {K1 * (1 - B)}::float8 + p.term_count * $4::float8)"

# "offset 0" keeps the lookup of each term a lookup in the index, whatever the planner thinks of the array's length.
_COUNTS = """
select w.term, t.n::float8 as n, c.chunks::float8 as chunks, c.terms::float8 as terms
from unnest($2::text[]) as w (term)
cross join lateral (
    select count(*) as n from chunk_terms where tenant_id = $1 and term = w.term
) as t
cross join totals c where c.tenant_id = $1 and t.n > 0
"""
_BEST = f"""
select p.chunk_id, sum(w.idf * {_WEIGHT}) as score
from unnest($2::text[], $3::float8[]) as w (term, idf)
cross join lateral (
    select chunk_id, frequency, term_count from chunk_terms where tenant_id = $1 and term = w.term offset 0
) as p
group by p.chunk_id order by score desc, p.chunk_id limit $5
"""  # noqa: S608 (numbers only)
_OF = f"""
select p.chunk_id, sum(w.idf * {_WEIGHT}) as score
from unnest($2::text[], $3::float8[]) as w (term, idf)
cross join unnest($5::uuid[]) as k (chunk_id)
cross join lateral (
    select chunk_id, frequency, term_count from chunk_terms
    where tenant_id = $1 and term = w.term and chunk_id = k.chunk_id offset 0
) as p
group by p.chunk_id
"""  # noqa: S608 (numbers only)


@dataclass(frozen=True, slots=True)
class Term:
    """A term of the question that the tenant's passages have, in how many, and its weight (idf)."""

    text: str
    count: float
    idf: float

    @property
    def bound(self) -> float:
        """More than it can add to any passage's score."""
        return self.idf * (K1 + 1)


@dataclass(frozen=True, slots=True)
class Corpus:
    """The question's terms, rarest first, and the mean length of the tenant's passages in terms."""

    tenant_id: str
    terms: Sequence[Term]
    average: float


async def corpus(connection: Any, tenant_id: str, terms: Sequence[str]) -> Corpus:
    """The tenant's statistics of the terms, which must differ from each other."""
    rows = await connection.fetch(_COUNTS, tenant_id, list(terms)) if terms else []
    found = [
        Term(row["term"], row["n"], math.log(1 + (row["chunks"] - row["n"] + 0.5) / (row["n"] + 0.5))) for row in rows
    ]
    average = max(rows[0]["terms"], 1.0) / max(rows[0]["chunks"], 1.0) if rows else 1.0
    return Corpus(tenant_id, sorted(found, key=lambda term: (term.count, term.text)), average)


async def best(connection: Any, corpus: Corpus, limit: int) -> dict[str, float]:
    """The ``limit`` best passages by id with their scores, best first; equal ones by id."""
    if not corpus.terms:
        return {}
    split = nominating(corpus.terms, limit)
    found = await _pruned(connection, corpus, split, limit) if split < len(corpus.terms) else None
    if found is None:
        rows = await connection.fetch(_BEST, *_arguments(corpus, corpus.terms), limit)
        found = {str(row["chunk_id"]): float(row["score"]) for row in rows}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0]))[:limit])


async def _pruned(connection: Any, corpus: Corpus, split: int, limit: int) -> dict[str, float] | None:
    """Scores of passages among which the best are; None where the terms after ``split`` might bring in others."""
    frequent = corpus.terms[split:]
    missing = sum(term.bound for term in frequent)
    rows = await connection.fetch(_BEST, *_arguments(corpus, corpus.terms[:split]), _NOMINATED * limit)
    partial = {str(row["chunk_id"]): float(row["score"]) for row in rows}
    keys = list(partial)

    async def whole(some: Sequence[str]) -> dict[str, float]:
        added = await _score(connection, corpus, frequent, some)
        return {key: partial[key] + added.get(key, 0.0) for key in some}

    found = await whole(keys[: _FIRST * limit])
    if len(found) < limit:
        return None
    last = sorted(found.values(), reverse=True)[limit - 1]
    unseen = partial[keys[-1]] if len(keys) == _NOMINATED * limit else 0.0
    if unseen + missing >= last:
        return None
    return found | await whole([key for key in keys[_FIRST * limit :] if partial[key] + missing >= last])


def nominating(terms: Sequence[Term], limit: int) -> int:
    """How many of the terms, rarest first, are to nominate passages.

    The passage of the last rank should have at least the weight of the terms that the ``limit`` rarest postings
    belong to; the most frequent terms that cannot make that up together are left out.
    """
    reached, guess = 0.0, 0.0
    for term in terms:
        reached, guess = reached + term.count, term.idf
        if reached >= limit:
            break
    split, left_out = len(terms), 0.0
    while split > 1 and left_out + terms[split - 1].bound < guess:
        left_out += terms[split - 1].bound
        split -= 1
    return split


async def of(connection: Any, corpus: Corpus, chunk_ids: Iterable[str]) -> dict[str, float]:
    """Scores of these passages; those without any of the terms are left out."""
    return await _score(connection, corpus, corpus.terms, chunk_ids)


async def _score(connection: Any, corpus: Corpus, terms: Sequence[Term], chunk_ids: Iterable[str]) -> dict[str, float]:
    ids = [uuid.UUID(chunk_id) for chunk_id in chunk_ids]
    rows = await connection.fetch(_OF, *_arguments(corpus, terms), ids) if ids and terms else []
    return {str(row["chunk_id"]): float(row["score"]) for row in rows}


def _arguments(corpus: Corpus, terms: Sequence[Term]) -> tuple[str, list[str], list[float], float]:
    return corpus.tenant_id, [term.text for term in terms], [term.idf for term in terms], K1 * B / corpus.average
