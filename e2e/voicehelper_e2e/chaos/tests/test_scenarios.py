"""The quick scenarios, on the platform of the tests; the others are played by ``make chaos``."""

from __future__ import annotations

import asyncio

import pytest
from voicehelper_e2e.chaos import campaign, report
from voicehelper_e2e.chaos.__main__ import parsed
from voicehelper_e2e.chaos.ledger import Ledger
from voicehelper_e2e.chaos.oracle import Finding
from voicehelper_e2e.chaos.platform import FiredOn
from voicehelper_e2e.chaos.scenarios import SCENARIOS
from voicehelper_e2e.chaos.scenarios.play import play
from voicehelper_e2e.chaos.scenarios.stage import Verdict


@pytest.fixture(scope="module")
def tenants(platform):
    """Tenants of the campaign with one ledger for all scenarios; gone at the end."""
    fired = FiredOn(platform)
    yield asyncio.run(campaign.found(fired)), Ledger()
    asyncio.run(campaign.disband(fired))


@pytest.mark.integration
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("name", "only"),
    [
        ("poisoned-event", ""),
        pytest.param("frozen", "milvus", marks=pytest.mark.thorough),
        pytest.param("wal-ceiling", "", marks=pytest.mark.thorough),
    ],
)
async def test_the_promise_is_kept(platform, tenants, name, only):
    names, ledger = tenants
    verdict = await play(name, FiredOn(platform), names, seed=1, fast=True, only=only, ledger=ledger)
    assert verdict.passed, verdict.text


def test_a_problem_or_a_finding_fails_and_is_told():
    for problems, findings in (["the log grew"], []), ([], [Finding("kafka", "acme", "1 message is missing")]):
        verdict = Verdict("wal-ceiling", 7, "nothing is missing", {"log at most": "40 MB"}, problems, findings, 3.0)
        assert not verdict.passed
        assert verdict.text.startswith("FAILED wal-ceiling (seed 7, 3 s): 1 problems: ")
        assert (problems or [str(findings[0])])[0] in report.scenario_line(verdict)


def test_names_are_checked_before_anything_starts(capsys):
    with pytest.raises(SystemExit):
        parsed(["--seed", "1", "--scenario", "frozn"])
    assert "frozen" in capsys.readouterr().err
    assert parsed(["--seed", "1", "--scenario", "all"]).scenarios == list(SCENARIOS)
