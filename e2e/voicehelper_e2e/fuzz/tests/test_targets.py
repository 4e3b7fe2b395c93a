"""The parsers bear what strangers send: seeds, and 10,000 inputs each that follow their branches."""

from __future__ import annotations

import pytest
from voicehelper_e2e.fuzz.run import RUNS, fuzz
from voicehelper_e2e.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name):
    target = TARGETS[name]
    assert target.seeds
    for seed in target.seeds:
        target.run(seed.read_bytes())


@pytest.mark.integration  # not for its stores, but for its time
@pytest.mark.parametrize("name", TARGETS)
def test_inputs_that_follow_the_branches(name, tmp_path):
    outcome = fuzz(name, runs=RUNS, seed=1, folder=tmp_path)
    assert outcome.defect is None, f"{outcome.defect.read_bytes()!r}\n{outcome.output}"
    assert outcome.runs == RUNS


def test_a_defect_is_found_and_kept(tmp_path, monkeypatch):
    """The harness itself: a parser that fails on one branch is caught, and its input is left to look at."""
    package = tmp_path / "broken"
    package.mkdir()
    (package / "broken_parser.py").write_text(
        "def parse(data):\n    if data[:1] == b'{':\n        raise KeyError('x')\n"
    )
    (package / "sitecustomize.py").write_text(
        "import voicehelper_e2e.fuzz.targets as targets\nfrom dataclasses import replace\n"
        "def broken(data):\n    import broken_parser\n    broken_parser.parse(data)\n"
        "targets.TARGETS['sse'] = replace(targets.TARGETS['sse'], run=broken, modules=('broken_parser',))\n"
    )
    monkeypatch.syspath_prepend(package)
    outcome = fuzz("sse", runs=RUNS, seed=1, folder=tmp_path / "out")
    assert outcome.defect is not None
    assert outcome.defect.read_bytes()[:1] == b"{"
