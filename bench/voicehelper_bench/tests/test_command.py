"""The command: names, keeping, time limits; with benchmarks made up here."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from voicehelper_bench import BENCHES, __main__, page, results
from voicehelper_bench.figures import Report
from voicehelper_bench.machine import ROOT


@pytest.fixture
def benches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """Makes all benchmarks run the given function; the file that figures are kept in."""

    def make(run: Callable[..., None]) -> Path:
        for name in BENCHES:
            monkeypatch.setitem(sys.modules, f"voicehelper_bench.{name}", SimpleNamespace(run=run))
        file = tmp_path / "results.jsonl"
        monkeypatch.setattr(results.replace, "__defaults__", (file,))
        monkeypatch.setattr(results.load, "__defaults__", (file,))
        monkeypatch.setattr(page.generate, "__defaults__", (tmp_path / "docs",))
        return file

    return make


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["voicehelper_bench", *arguments])
    __main__.main()


def measure(report: Report, *, quick: bool) -> None:
    report.add("quick", quick, "bool")


def test_named_benchmarks_run_and_are_not_kept(
    benches: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = benches(measure)
    call(monkeypatch, "--quick", "chat", "cdc")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["bench"] for line in lines if line["metric"] == "quick"] == ["chat", "cdc"]
    assert {line["metric"] for line in lines if line["bench"] == "machine"} >= {"cpu", "cores", "memory", "kernel"}
    assert not file.exists()


def test_a_whole_run_is_kept_and_written(
    benches: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = benches(measure)
    call(monkeypatch)
    assert [figure.bench for figure in results.load(file) if figure.metric == "quick"] == [*BENCHES]
    assert "Not measured yet" not in (tmp_path / "docs" / "benchmarks.md").read_text()


def test_a_failure_leaves_the_others(
    benches: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(report: Report, *, quick: bool) -> None:
        if report.bench == "chat":
            raise RuntimeError("no store")
        measure(report, quick=quick)

    file = benches(fail)
    with pytest.raises(SystemExit, match="could not be measured: chat"):
        call(monkeypatch, "--keep", "chat", "cdc")
    assert {figure.bench for figure in results.load(file)} == {"machine", "cdc"}
    assert "no store" in capsys.readouterr().err


def test_time_is_bounded(
    benches: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    benches(lambda report, *, quick: time.sleep(60))
    with pytest.raises(SystemExit, match="could not be measured: chat"):
        call(monkeypatch, "--limit", "0.002", "chat")
    assert "TimeoutError: not ready within 0.002 minutes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"), [(["nonsense"], "there is no benchmark nonsense"), (["--quick", "--keep"], "not kept")]
)
def test_bad_arguments(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        call(monkeypatch, *arguments)
    assert said in capsys.readouterr().err


def test_make_bench_passes_names_and_options() -> None:
    said = subprocess.run(
        ["make", "-n", "--no-print-directory", "bench", "BENCH=router cdc", "ARGS=--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.splitlines()[-1].endswith("-m voicehelper_bench --quick router cdc")
