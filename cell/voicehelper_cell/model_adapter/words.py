"""The words of a question and of a sentence, made alike: stems, irregular verbs, numbers without their commas."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Set
from functools import lru_cache

from voicehelper_cell.retrieval.terms import terms

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_NUMBER = (
    r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|ninety"
    r"|hundred|thousand|half|no|none|once|twice)\b"
)
_SIZE = r"\d\s*(?:[kmgt]i?b|bytes|\w*bytes|characters|words|pages|tokens|pixels|lines|rows)\b"
_TIME = (
    r"\b(?:(?:milli)?second|minute|hour|day|night|week|month|quarter|year)s?\b|\d\d:\d\d|\bmidnight\b|\bnoon\b"
    r"|\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\b(?:dai|week|month|quarter|year|hour)ly\b"
    r"|\b(?:immediately|at once|always|never|once|twice|after|until|as soon as|percent)\b"
)
_MONEY = r"[$€£¥]|\b(?:usd|eur|gbp|dollars?|euros?|pounds?|cents?|yuan|free|nothing|no (?:fee|charge)|percent)\b|%"
_KINDS = tuple(
    (re.compile(asked, re.IGNORECASE), re.compile(fitting, re.IGNORECASE))
    for asked, fitting in (
        (r"\bhow much\b.*\b(?:costs?|pays?|charged?)\b|\bwhat (?:is|are) the (?:\w+ )*(?:price|cost|fee)s?\b", _MONEY),
        (r"\bhow (?:large|big|small)\b|\b(?:maximum|minimum|largest) size\b", _SIZE),
        (r"\bhow (?:long|often|old|fast|quickly|soon|late)\b|^\W*(?:since |until )?when\b", _TIME),
        (r"\bhow (?:much|high|low|far|tall|deep|wide|heavy)\b", _NUMBER),
    )
)
"""What a question asks for, and what a sentence that says it looks like."""
_COUNT = re.compile(
    r"^\W*(?:\w+\s+){0,2}how many "
    r"((?:(?!(?:do|does|did|is|are|was|were|can|may|must|shall|should|will|would|could|have|has|had|of|in"
    r"|per|at|a|an|the|to|there|work|use|run)\b)[\w-]+\W+){1,4})",
    re.IGNORECASE,
)
_COUNTED = re.compile(rf"(?:{_NUMBER})[\w,.%]*((?:[ \n-]+[\w*`]+){{1,4}})", re.IGNORECASE)
_ANY_NUMBER = re.compile(_NUMBER, re.IGNORECASE)
_IRREGULAR = dict(
    re.findall(
        r"(\w+):(\w+)",
        """
    sent:send kept:keep made:make held:hold written:write wrote:write taken:take took:take given:give gave:give
    chosen:choose chose:choose begun:begin began:begin shown:show seen:see saw:see known:know knew:know found:find
    got:get gotten:get lost:lose left:leave built:build bought:buy paid:pay said:say told:tell ran:run hidden:hide
    stolen:steal stole:steal broken:break broke:break spoken:speak read:read met:meet fell:fall fallen:fall
    grown:grow grew:grow went:go gone:go came:come done:do did:do felt:feel slept:sleep woken:wake woke:wake
    led:lead set:set bound:bind drawn:draw drew:draw driven:drive drove:drive thought:think brought:bring
    """,
    )
)
_EMPTY = frozenset(
    terms(
        "may must shall might per get within without ever again yet still already else away happen use tell explain"
        " describe say please name way kind thing mean mind many much long often large big small high low far fast"
        " quickly soon late there any one list give show exact exactly currently usually normally"
    )
)
_FITS, _FITS_NOT, _COUNTS_NOT = 0.1, -0.3, -0.5
_ALIKE = 0.8  # of the longer stem: suspend and suspens, but not transfer and translat
_LONG = 5


def _normal(text: str) -> list[str]:
    return terms(_THOUSANDS.sub("", text))


@lru_cache(maxsize=4096)
def _base(word: str) -> str:
    regular = _IRREGULAR.get(word)
    return terms(regular)[0] if regular and terms(regular) else word


def content_words(text: str) -> frozenset[str]:
    """The words of a sentence."""
    return frozenset(map(_base, _normal(text)))


def question_words(question: str) -> list[str]:
    """The words that an answer should know of, in order; all of them where nothing else is left."""
    found = list(dict.fromkeys(map(_base, _normal(question))))
    return [word for word in found if word not in _EMPTY] or found


def expectation(question: str) -> Callable[[str], float] | None:
    """Judges whether a sentence has what the question asks for: a size, a time, so many of something.

    Above 0 when it has, below 0 when it has not.
    """
    if counted := _COUNT.search(question):
        things = content_words(counted[1])
        return lambda sentence: _FITS if _counts(sentence, things) else _COUNTS_NOT
    fitting = next((fitting for asked, fitting in _KINDS if asked.search(question)), None)
    return (lambda sentence: _FITS if fitting.search(sentence) else _FITS_NOT) if fitting else None


def _counts(sentence: str, things: Set[str]) -> bool:
    """Whether a number of these things is named; in a row of a table any number may be theirs."""
    if "|" in sentence:
        return bool(_ANY_NUMBER.search(sentence))
    weights = dict.fromkeys(things, 1.0)
    return any(share(weights, content_words(found[1])) > 0 for found in _COUNTED.finditer(sentence))


def share(weights: Mapping[str, float], present: Set[str]) -> float:
    """The part of the weight whose words are present, in one form or another."""
    total = sum(weights.values())
    return sum(weight for word, weight in weights.items() if word in present or _alike(word, present)) / total


def _alike(word: str, present: Set[str]) -> bool:
    """Stems of one word that the stemmer did not bring together."""
    if len(word) < _LONG or not word.isalpha():
        return False
    return any(_common(word, other) >= _ALIKE * max(len(word), len(other)) for other in present if other[0] == word[0])


def _common(first: str, second: str) -> int:
    length = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        length += 1
    return length if length >= _LONG else 0
