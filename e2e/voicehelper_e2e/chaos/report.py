"""What a campaign says: lines of JSON for programs, a table and one sentence for people."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from statistics import median

from voicehelper_e2e.chaos.campaign import Outcome
from voicehelper_e2e.chaos.scenarios.stage import Verdict


def lines(outcome: Outcome) -> Iterator[str]:
    """JSON lines: the schedule first, the verdict last."""
    yield json.dumps({"chaos": "schedule", **json.loads(outcome.schedule.to_json())})
    yield from outcome.recoveries.lines()
    yield from _answers(outcome)
    yield json.dumps({"chaos": "points", "struck": sorted(outcome.struck), "undone": outcome.undone})
    yield json.dumps({"chaos": "clients", **outcome.ledger.acknowledged(), "met": dict(outcome.ledger.statuses)})
    for finding in outcome.findings:
        yield json.dumps({"chaos": "finding", "check": finding.check, "subject": finding.subject, "text": finding.text})
    figures = {"passed": outcome.passed, "seconds": round(outcome.seconds, 1), "kills": kills(outcome)}
    yield json.dumps({"chaos": "verdict", **figures, "text": verdict(outcome)})


def _answers(outcome: Outcome) -> Iterator[str]:
    """From a strike until a question asked after it is answered, per tenant: what customers notice."""
    waited: dict[str, list[float]] = defaultdict(list)
    for kill in outcome.kills:
        for tenant in outcome.ledger.tenants:
            seconds = outcome.ledger.first_success_after(kill.at, tenant)
            if seconds is not None:
                waited["cell" if kill.component.startswith("cell-") else kill.component].append(seconds)
    for name, values in sorted(waited.items()):
        figures = {"p50": round(median(values), 2), "max": round(max(values), 2), "unit": "s", "runs": len(values)}
        yield json.dumps({"chaos": "next-answer", "component": name, **figures})


def kills(outcome: Outcome) -> int:
    """Processes that were killed, at random and at fault points."""
    return len(outcome.kills) + len(outcome.struck)


def verdict(outcome: Outcome) -> str:
    """One sentence."""
    seen = outcome.ledger.acknowledged()
    what = (
        f"seed {outcome.schedule.seed}: {kills(outcome)} kills ({len(outcome.struck)} at fault points) in"
        f" {outcome.seconds / 60:.1f} minutes, {seen['questions']} answers, {seen['documents']} documents"
        f" and {seen['tenants_deleted']} deleted tenants acknowledged"
    )
    if outcome.passed:
        return f"PASSED with {what}: nothing was lost, doubled or left over, and everybody came back."
    problems = [f"{len(outcome.findings)} findings"] if outcome.findings else []
    problems += [f"{len(outcome.recoveries.unreturned)} did not come back"] if outcome.recoveries.unreturned else []
    problems += [f"{len(outcome.undone)} things were not done"] if outcome.undone else []
    return f"FAILED with {what}: {', '.join(problems)}."


def sentence(outcome: Outcome | None, verdicts: Sequence[Verdict]) -> str:
    """One sentence over the kills, where there were any, and the scenarios."""
    fired = [("kills", outcome.passed)] if outcome else []
    parts = [*fired, *((verdict.name, verdict.passed) for verdict in verdicts)]
    if failed := [name for name, passed in parts if not passed]:
        return f"FAILED: {', '.join(failed)} of {', '.join(name for name, _ in parts)}."
    return f"PASSED: {', '.join(name for name, _ in parts)}; nothing was lost, and every promise was kept."


def scenario_line(verdict: Verdict) -> str:
    """A line of JSON."""
    figures = {"scenario": verdict.name, "seed": verdict.seed, "passed": verdict.passed, "facts": verdict.facts}
    wrong = [*verdict.problems, *map(str, verdict.findings)]
    return json.dumps({**figures, "problems": wrong, "seconds": round(verdict.seconds, 1)})


def text(outcome: Outcome) -> str:
    """For people; the verdict is the last line."""
    parts = ["", "From kill -9 until another process serves:", outcome.recoveries.table(), ""]
    parts += [f"not back: {item}" for item in outcome.recoveries.unreturned]
    parts += [f"not done: {item}" for item in outcome.undone]
    parts += [f"finding: {item}" for item in outcome.findings]
    return "\n".join([*parts, verdict(outcome)])
