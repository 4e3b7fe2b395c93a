"""What retrieval speaks about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from voicehelper_core.errors import InvalidArgument

Mode = Literal["hybrid", "vector", "bm25"]
MAX_QUERY = 8000
MAX_TERMS = 64
DEFAULT_TOP_K = 10
MAX_TOP_K = 100


@dataclass(frozen=True, slots=True)
class Query:
    """A checked search."""

    text: str
    mode: Mode
    top_k: int

    @classmethod
    def checked(cls, text: str, mode: str, top_k: int) -> Query:
        """Raises InvalidArgument with the field and the reason."""
        text = text.replace("\x00", " ").strip()
        if not text:
            raise InvalidArgument("query: must not be empty")
        if len(text) > MAX_QUERY:
            raise InvalidArgument(f"query: at most {MAX_QUERY} characters")
        modes: dict[str, Mode] = {
            "": "hybrid", "hybrid": "hybrid", "vector": "vector", "dense": "vector", "bm25": "bm25",
        }  # fmt: skip
        if mode not in modes:
            raise InvalidArgument("mode: must be hybrid, vector or bm25")
        if not 0 <= top_k <= MAX_TOP_K:
            raise InvalidArgument(f"top_k: must be from 1 to {MAX_TOP_K}")
        return cls(text, modes[mode], top_k or DEFAULT_TOP_K)


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found."""

    chunk_id: str
    document_id: str
    external_id: str
    title: str
    text: str
    start: int
    end: int
    score: float
    vector_score: float
    bm25_score: float
