"""Plots as SVG files that are the same bytes for the same figures: fixed ids, no date, no version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from voicehelper_bench.figures import Figure

_STYLE: Any = {
    "svg.hashsalt": "voicehelper",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
}
_COLOURS = ("#3366aa", "#ee8833", "#44aa77", "#bb4455", "#8866bb", "#777777")


@dataclass(frozen=True, slots=True)
class Plot:
    """``series`` are names and a metric for each place of ``x``; quartiles are drawn where they were measured.

    ``name`` is the file's name without ``.svg``. ``goal`` draws a line.
    """

    name: str
    title: str
    unit: str
    x: Sequence[str]
    series: Mapping[str, Sequence[str]]
    x_label: str = ""
    kind: Literal["bars", "lines"] = "bars"
    goal: float | None = None
    log: bool = False
    of: Literal["value", "ratio"] = "value"


def _numbers(plot: Plot, metrics: Sequence[str], figures: Mapping[str, Figure]) -> list[float]:
    def number(metric: str) -> float:
        figure = figures.get(metric)
        found = None if figure is None else (figure.ratio if plot.of == "ratio" else figure.value)
        return float(found) if isinstance(found, float | int) else float("nan")

    return [number(metric) for metric in metrics]


def _errors(plot: Plot, metrics: Sequence[str], figures: Mapping[str, Figure]) -> list[list[float]] | None:
    middle = _numbers(plot, metrics, figures)
    low = _numbers(plot, [f"{metric}.q1" for metric in metrics], figures)
    high = _numbers(plot, [f"{metric}.q3" for metric in metrics], figures)
    if plot.of == "ratio" or any(value != value for value in low + high):  # noqa: PLR0124 (not a number)
        return None
    return [
        [max(m - q, 0.0) for m, q in zip(middle, low, strict=True)],
        [max(q - m, 0.0) for m, q in zip(middle, high, strict=True)],
    ]


def drawable(plot: Plot, figures: Mapping[str, Figure]) -> bool:
    """Whether anything of it was measured."""
    return any(metric in figures for metrics in plot.series.values() for metric in metrics)


def draw(plot: Plot, figures: Mapping[str, Figure], folder: Path) -> Path:
    """Write ``folder/<name>.svg``; ``figures`` by metric."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    with mpl.rc_context(_STYLE):
        figure, axes = pyplot.subplots(figsize=(7, 3.4), layout="constrained")
        places = [float(number) for number in range(len(plot.x))]
        width = 0.8 / len(plot.series)
        for number, (name, metrics) in enumerate(plot.series.items()):
            values, errors = _numbers(plot, metrics, figures), _errors(plot, metrics, figures)
            colour = _COLOURS[number % len(_COLOURS)]
            if plot.kind == "bars":
                shift = (number - (len(plot.series) - 1) / 2) * width
                at = [place + shift for place in places]
                axes.bar(at, values, width * 0.92, yerr=errors, label=name, color=colour, ecolor="#333333", capsize=2)
            else:
                axes.errorbar(places, values, yerr=errors, label=name, color=colour, marker="o", capsize=2)
        axes.set_xticks(places, list(plot.x))
        if plot.log:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        if plot.goal is not None:
            axes.axhline(plot.goal, color="#333333", linestyle="--", linewidth=1, label=f"goal {plot.goal:g}")
        axes.set(title=plot.title, ylabel=plot.unit, xlabel=plot.x_label)
        axes.legend(frameon=False, fontsize=9)
        path = folder / f"{plot.name}.svg"
        folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": "voicehelper_bench"})
        pyplot.close(figure)
    return path
