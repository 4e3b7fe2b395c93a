"""Selectors of labels, as the API writes them: ``a=b,c!=d,e in (f,g),h notin (i),j,!k``. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from voicehelper_core.errors import InvalidArgument

Labels = Mapping[str, str]
Requirement = Callable[[Labels], bool]
_KEY = r"[A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_EQUAL = re.compile(rf"({_KEY})\s*(==|=|!=)\s*({_VALUE})")
_SET = re.compile(rf"({_KEY})\s+(in|notin)\s*\(\s*({_VALUE}(?:\s*,\s*{_VALUE})*)\s*\)")
_EXISTS = re.compile(rf"(!?)\s*({_KEY})")
_COMMA = re.compile(r",(?![^(]*\))")


def matcher(text: str) -> Requirement:
    """Whether labels fulfil all of it; everything does for an empty one. Raises InvalidArgument."""
    requirements = [_requirement(part.strip()) for part in _COMMA.split(text)] if text.strip() else []
    return lambda labels: all(requirement(labels) for requirement in requirements)


def _requirement(part: str) -> Requirement:
    if found := _SET.fullmatch(part):
        return _within(found[1], frozenset(value.strip() for value in found[3].split(",")), wanted=found[2] == "in")
    if found := _EQUAL.fullmatch(part):
        return _within(found[1], frozenset({found[3]}), wanted=found[2] != "!=")
    if found := _EXISTS.fullmatch(part):
        key, wanted = found[2], not found[1]
        return lambda labels: (key in labels) is wanted
    raise InvalidArgument(f"labelSelector: '{part}' is no requirement")


def _within(key: str, values: frozenset[str], *, wanted: bool) -> Requirement:
    """An object without the key fulfils what it must not be."""
    if wanted:
        return lambda labels: labels.get(key) in values
    return lambda labels: labels.get(key) not in values
