"""The page follows from the figures, and the committed one from the committed figures."""

from __future__ import annotations

from pathlib import Path

import pytest
from voicehelper_bench import BENCHES, page, results
from voicehelper_bench.figures import Figure
from voicehelper_bench.goals import Goal
from voicehelper_bench.plots import Plot

FIGURES = {
    figure.metric: figure
    for figure in (
        Figure("chat", "begin.time", "2026-01-01 00:00 UTC", "text"),
        Figure("chat", "begin.load", 0.25, ""),
        Figure("chat", "begin.commit", "abc", "text"),
        Figure("chat", "send.1.p95", 4.0, "ms", runs=3),
        Figure("chat", "send.64.p95", 81.2, "ms", "bare", 2.5, 9),
        Figure("chat", "send.64.p95.q1", 70.0, "ms", None, None, 9),
        Figure("chat", "send.64.p95.q3", 90.0, "ms", None, None, 9),
    )
}
PART = page.Section(
    "chat",
    "Chat",
    "Took [[send.64.p95]], [[send.64.p95:ratio]] of [[send.64.p95:peer]]; [[other]].",
    (
        Goal("64 clients", "send.64.p95", "<=", 60, why="because of [[send.1.p95]]"),
        Goal("one client", "send.1.p95", "<=", 60, why="never shown"),
        Goal("streams", "sse.p95", "<=", 30),
        Goal("peer", "send.64.p95", "<=", 3, of="ratio"),
    ),
    (Plot("chat", "Clients", "ms", ("1", "64"), {"send": ("send.1.p95", "send.64.p95")}, goal=60),),
)


def test_section() -> None:
    text = page._section(PART, FIGURES, lambda plot: f"![{plot.title}]")
    assert "Took 81.2 ms, 2.5 of bare; not measured." in text
    assert "| 64 clients | <= 60 | 81.2 ms (70 to 90) | bare | 2.5 | **no** |" in text
    assert "| one client | <= 60 | 4 ms |  |  | yes |" in text
    assert "| streams | <= 30 | not measured |  |  | ? |" in text
    assert "| peer | <= 3 of the peer | 81.2 ms (70 to 90) | bare | 2.5 | yes |" in text
    assert "- **64 clients**: because of 4 ms" in text
    assert "never shown" not in text
    assert "![Clients]" in text
    assert "commit abc; 1-minute load average before: 0.25" in text
    assert "All 2 figures" in text


def test_an_unexplained_miss_says_so() -> None:
    table = page.goals_table([Goal("slow", "send.64.p95", "<=", 1)], FIGURES)
    assert "the cause is not known yet" in table


@pytest.mark.parametrize(
    ("value", "text"),
    [(12345.6, "12,346"), (3, "3"), (0.04217, "0.0422"), (99.96, "100"), (0.00001234, "1.2e-05"), (0, "0"), ("x", "x")],
)
def test_numbers(value: float | str, text: str) -> None:
    assert page.number(value) == text


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert page.table(["a|b"], []).startswith("| a\\|b |")


def test_generation_is_the_same_bytes_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "section", lambda name: PART if name == "chat" else page.Section(name, name, "", (), ()))
    for folder in ("one", "two"):
        page.generate(FIGURES.values(), tmp_path / folder)
    first, second = (
        {path.relative_to(tmp_path / folder): path.read_bytes() for path in (tmp_path / folder).rglob("*.*")}
        for folder in ("one", "two")
    )
    assert first == second
    assert sorted(str(path) for path in first) == ["benchmarks.md", "benchmarks/chat.svg"]
    assert first[Path("benchmarks.md")].decode().count("Not measured yet.") == len(BENCHES) - 1
    (tmp_path / "one" / "benchmarks" / "old.svg").write_text("")
    page.generate([], tmp_path / "one")
    assert not [*(tmp_path / "one").rglob("*.svg")]


def test_results_are_replaced_by_bench(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    first, second, newer = Figure("a", "m", 1, "ms"), Figure("b", "m", "text", "text"), Figure("a", "n", 2.5, "ms")
    results.replace("b", [second], "ab", path)
    results.replace("a", [first], "ab", path)
    assert results.load(path) == [first, second]
    results.replace("a", [newer], "ab", path)
    assert results.load(path) == [newer, second]
    path.write_text('{"bench": 1}\n')
    with pytest.raises(ValueError, match=r"results\.jsonl, line 1"):
        results.load(path)


@pytest.mark.parametrize("name", BENCHES)
def test_every_benchmark_has_a_page_of_distinct_plots_and_goals(name: str) -> None:
    part = page.section(name)
    assert part.text and part.title
    assert len({plot.name for plot in part.plots}) == len(part.plots)
    assert all(plot.name.startswith(name) for plot in part.plots)
    assert all(len(metrics) == len(plot.x) for plot in part.plots for metrics in plot.series.values())


def test_the_committed_page_is_current(tmp_path: Path) -> None:
    page.generate(results.load(), tmp_path)
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.*")}
    kept = [page.DOCS / "benchmarks.md", *(page.DOCS / "benchmarks").glob("*.svg")]
    assert made == {path.relative_to(page.DOCS): path.read_bytes() for path in kept}, "run make generate"
