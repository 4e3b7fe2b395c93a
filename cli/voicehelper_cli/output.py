"""What commands print: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any


def say(line: str = "") -> None:
    """A line of the result."""
    sys.stdout.write(line + "\n")


def write(text: str) -> None:
    """A part of a line, shown at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def note(line: str) -> None:
    """A line about the result: progress, warnings, errors."""
    sys.stdout.flush()
    sys.stderr.write(line + "\n")


def say_json(value: Any) -> None:
    """A JSON document for programs."""
    say(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def say_yaml(value: Any) -> None:
    """A YAML document for people."""
    import yaml

    sys.stdout.write(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Columns aligned with blanks, as kubectl prints them; nothing is cut or wrapped."""
    cells = [list(headers), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    return "\n".join(
        "   ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    return " ".join(str(value).split())


def age(since: datetime | None, now: datetime | None = None) -> str:
    """How long ago, in one unit: ``45s``, ``12m``, ``3h``, ``8d``."""
    if since is None:
        return "-"
    elapsed = max((now or datetime.now(UTC)) - since, timedelta())
    seconds = int(elapsed.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
