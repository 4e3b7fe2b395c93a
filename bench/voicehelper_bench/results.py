"""The kept figures, ``bench/results.jsonl``: one JSON line each, the lines of a benchmark together."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from voicehelper_bench.figures import Figure

FILE = Path(__file__).resolve().parents[1] / "results.jsonl"


def load(path: Path = FILE) -> list[Figure]:
    """All figures in order; none where there is no file. Raises ValueError that names the broken line."""
    if not path.exists():
        return []
    figures = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            figures.append(Figure(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path.name}, line {number}: {error}") from error
    return figures


def replace(bench: str, figures: Iterable[Figure], order: Iterable[str], path: Path = FILE) -> None:
    """Put ``figures`` in the place of those that were kept of ``bench``; benches stand in ``order``."""
    kept = [figure for figure in load(path) if figure.bench != bench] + [*figures]
    rank = {name: number for number, name in enumerate(order)}
    kept.sort(key=lambda figure: rank.get(figure.bench, len(rank)))
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join(figure.line() + "\n" for figure in kept))
    temporary.replace(path)
