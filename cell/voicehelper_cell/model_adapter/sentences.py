"""Sentences of a Markdown or plain text with their places in it."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

_BLOCK = re.compile(r"[^\n]+(?:\n(?![\n\s]*$|\s*(?:[-*+]|\d+[.)]|#+|\||>|```)\s?)[^\n]+)*")
_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[A-Z0-9\"'(`*\[])|(?<=[。！？；])")
_DECORATION = re.compile(r"^(?:\s*(?:[-*+]|\d+[.)]|>|#+)\s+)+|^\s+")
_RULE = re.compile(r"^[\s|:=*_`-]*$")


@dataclass(frozen=True, slots=True)
class Sentence:
    """``text == passage[start:end]``; headings are marked, since they answer nothing by themselves."""

    start: int
    end: int
    text: str
    heading: bool


def sentences(passage: str) -> list[Sentence]:
    """All sentences, in order, without the marks of lists and headings."""
    found: list[Sentence] = []
    for block in _BLOCK.finditer(passage):
        body = block.group()
        heading = body.lstrip().startswith("#")
        offset = block.start()
        cuts = [0, *(match.end() for match in _END.finditer(body)), len(body)]
        for first, last in itertools.pairwise(cuts):
            piece = body[first:last]
            begin = first + (len(piece) - len(_DECORATION.sub("", piece, count=1)))
            end = first + len(piece.rstrip())
            if end > begin and not _RULE.match(body[begin:end]):
                found.append(Sentence(offset + begin, offset + end, body[begin:end], heading))
    return found
