"""Durations as people write them."""

from __future__ import annotations

import re

import typer

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str) -> float:
    """Seconds of ``60s``, ``2m``, ``1h30m``, ``500ms`` or a plain number. Raises BadParameter."""
    text = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise typer.BadParameter(f"'{text}' is no duration: write for example 60s, 2m or 1h30m")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)
