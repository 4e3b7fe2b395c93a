"""Cuts a text into passages. Every passage is an exact slice of it: ``text[start:end]``.

Headings begin a new passage; paragraphs, then sentences, then words stay whole as far as they fit. The size
is an estimate of the model's tokens, on the safe side, so that the cell needs no tokenizer of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

TARGET_TOKENS = 180
"""Of the 256 that the model reads; the rest is for the title and for the estimate's error."""
_MINIMUM_TOKENS = 60  # a heading does not begin a new passage while the current one is smaller

_WIDE = r"぀-ヿ㐀-䶿一-鿿豈-﫿가-힯\U00020000-\U0002fa1f"
_UNIT = re.compile(rf"(?P<latin>[A-Za-z]+)|(?P<number>\d+)|(?P<word>[^\W\d_A-Za-z{_WIDE}]+)|[{_WIDE}]|[^\w\s]|_")
_PER_TOKEN = {"latin": 6, "number": 2, "word": 2}
_PARAGRAPH = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_HEADING = re.compile(r"[ \t]{0,3}#{1,6}[ \t]")
_SENTENCE = re.compile(r"(?<=[.!?;:])\s+|(?<=[。！？；])|\n")
_SPACE = re.compile(r"\s+")
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage; offsets count code points."""

    ordinal: int
    start: int
    end: int
    text: str


def estimate(text: str) -> int:
    """About how many tokens the model makes of a text."""
    return sum(-(-len(match[0]) // _PER_TOKEN.get(match.lastgroup or "", 1)) for match in _UNIT.finditer(text))


def chunks(text: str, target: int = TARGET_TOKENS) -> list[Chunk]:
    """The passages of a text, in order, disjoint; only white space lies outside of them."""
    result: list[Chunk] = []
    first = last = size = 0
    open_ = False

    def close() -> None:
        nonlocal open_
        if open_:
            result.append(Chunk(len(result), first, last, text[first:last]))
        open_ = False

    for start, end in _pieces(text, 0, len(text), target):
        tokens = estimate(text[start:end])
        new_section = size >= min(_MINIMUM_TOKENS, target // 3) and _HEADING.match(text, start)
        if open_ and (size + tokens > target or new_section):
            close()
        if not open_:
            first, size, open_ = start, 0, True
        last, size = end, size + tokens
    close()
    return result


def _pieces(text: str, start: int, end: int, target: int) -> Iterator[Span]:
    """Parts that fit the target, each without white space around it."""
    for paragraph in _split(_PARAGRAPH, text, start, end):
        if estimate(text[slice(*paragraph)]) <= target:
            yield paragraph
            continue
        for sentence in _split(_SENTENCE, text, *paragraph):
            if estimate(text[slice(*sentence)]) <= target:
                yield sentence
                continue
            for word in _split(_SPACE, text, *sentence):
                yield from _cut(text, word, target)


def _split(separator: re.Pattern[str], text: str, start: int, end: int) -> Iterator[Span]:
    position = start
    for match in separator.finditer(text, start, end):
        yield from _trimmed(text, position, match.start())
        position = match.end()
    yield from _trimmed(text, position, end)


def _trimmed(text: str, start: int, end: int) -> Iterator[Span]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield start, end


def _cut(text: str, word: Span, target: int) -> Iterator[Span]:
    """A word that is longer than a passage (base64, a script without spaces) is cut anywhere."""
    start, end = word
    if estimate(text[start:end]) <= target:
        yield word
        return
    for position in range(start, end, target):
        yield position, min(position + target, end)
