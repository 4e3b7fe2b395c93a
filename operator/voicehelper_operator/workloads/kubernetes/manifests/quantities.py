"""Amounts, in the form in which the API server writes them."""

from __future__ import annotations

from fractions import Fraction

_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def milli_cpu(text: str) -> int:
    """Thousandths of a core."""
    return int(text[:-1]) if text.endswith("m") else round(Fraction(text) * 1000)


def mebibytes(text: str) -> int:
    """At least one."""
    return max(1, int(text[:-2]) * _UNITS[text[-2:]] // 2**20)


def cpu(milli: int) -> str:
    """As the API server writes it: whole cores without a unit."""
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"


def memory(mebi: int) -> str:
    """As the API server writes it: the largest unit that divides it."""
    return f"{mebi // 1024}Gi" if mebi % 1024 == 0 else f"{mebi}Mi"


def number(whole: int) -> str:
    """As the API server writes it: thousands and millions by their letter."""
    return next((f"{whole // by}{unit}" for by, unit in ((10**6, "M"), (10**3, "k")) if whole % by == 0), str(whole))
