"""Terms of a text for BM25; the same function reads passages and queries.

Unicode words, folded and stemmed when they are English; identifiers fall apart at underscores; runs of
Chinese, Japanese and Korean characters become overlapping pairs.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Any

from voicehelper_core.parts import part

MAX_TERM = 64
_WIDE = r"぀-ヿ㐀-䶿一-鿿豈-﫿가-힯\U00020000-\U0002fa1f"
_RUN = re.compile(rf"[{_WIDE}]+|[^\W_{_WIDE}]+(?:['’][^\W\d_{_WIDE}]+)*")
_IS_WIDE = re.compile(rf"[{_WIDE}]")
STOP_WORDS = frozenset(
    re.findall(
        r"\S+",
        """
    a about after all also am an and any are as at be because been before being both but by can could did do
    does doing each few for from had has have having he her here hers him his how i if in into is it its just
    me more most my no nor not of off on once only or other our out over own same she should so some such than
    that the their them then there these they this those through to too under until up very was we were what
    when where which while who whom why will with would you your
    """,
    )
)


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    return part("snowballstemmer", "english_stemmer").EnglishStemmer()


@lru_cache(maxsize=16_384)
def _stem(word: str) -> str:
    return str(_stemmer().stemWord(word))


def terms(text: str) -> list[str]:
    """The terms, in order, with repetitions."""
    result: list[str] = []
    for run in _RUN.findall(unicodedata.normalize("NFKC", text).casefold()):
        if _IS_WIDE.match(run):
            result += [run[i : i + 2] for i in range(len(run) - 1)] or [run]
            continue
        word = run.replace("’", "'").removesuffix("'s")
        if word not in STOP_WORDS:
            result.append(_stem(word)[:MAX_TERM] if word.isascii() else word[:MAX_TERM])
    return result


def frequencies(text: str) -> Counter[str]:
    """How often each term occurs."""
    return Counter(terms(text))
