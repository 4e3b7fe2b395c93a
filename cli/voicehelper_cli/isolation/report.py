"""The result: what was tried, by which credentials, what answered, and the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from voicehelper_cli.isolation.model import FAILING, Attempt, Outcome
from voicehelper_cli.output import table

EXIT_HELD, EXIT_LEAK, EXIT_INCONCLUSIVE = 0, 1, 3
KIND = "voicehelper-isolation-report"


@dataclass(frozen=True, slots=True)
class AttackResult:
    """One attack with its attempts."""

    name: str
    title: str
    seconds: float
    attempts: tuple[Attempt, ...]

    def count(self, *outcomes: Outcome) -> int:
        """Attempts with one of the outcomes."""
        return sum(attempt.outcome in outcomes for attempt in self.attempts)


@dataclass(slots=True)
class Report:
    """``started`` is RFC 3339; ``version`` that of the command, ``release`` what the victim's cell runs."""

    version: str
    started: str
    platform: str = ""
    release: str = ""
    victim: str = ""
    cell: str = ""
    only: tuple[str, ...] = ()
    seconds: float = 0.0
    results: list[AttackResult] = field(default_factory=list)

    @property
    def attempts(self) -> list[Attempt]:
        """Of all attacks."""
        return [attempt for result in self.results for attempt in result.attempts]

    @property
    def findings(self) -> list[str]:
        """Stable names of the guards that failed."""
        return sorted({attempt.finding for attempt in self.attempts if attempt.outcome in FAILING})

    @property
    def exit_code(self) -> int:
        """0 nothing leaked, 1 something did, 3 an attack could not be carried through."""
        if self.findings:
            return EXIT_LEAK
        broken = any(attempt.outcome is Outcome.error for attempt in self.attempts)
        return EXIT_INCONCLUSIVE if broken or not self.attempts else EXIT_HELD

    @property
    def verdict(self) -> str:
        """One sentence."""
        counts = Counter(attempt.outcome for attempt in self.attempts)
        tried = f"{len(self.attempts)} attempts in {len(self.results)} attacks"
        if self.findings:
            failed = counts[Outcome.leaked] + counts[Outcome.weakened]
            return f"ISOLATION IS BROKEN: {failed} of {tried} got through; findings: {', '.join(self.findings)}"
        if self.exit_code == EXIT_INCONCLUSIVE:
            return f"INCONCLUSIVE: {counts[Outcome.error]} of {tried} could not be carried through"
        besides = [
            f"{counts[outcome]} {words}"
            for outcome, words in (
                (Outcome.not_isolated, "that this edition cannot isolate"),
                (Outcome.not_run, "not run"),
            )
            if counts[outcome]
        ]
        return f"ISOLATION HOLDS: nothing got through in {tried}" + (f" ({', '.join(besides)})" if besides else "")

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "kind": KIND,
            "version": self.version,
            "release": self.release,
            "platform": self.platform,
            "started": self.started,
            "seconds": round(self.seconds, 1),
            "victim": self.victim,
            "cell": self.cell,
            "only": list(self.only),
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "findings": self.findings,
            "outcomes": dict(sorted(Counter(str(attempt.outcome) for attempt in self.attempts).items())),
            "attacks": [
                {
                    "name": result.name,
                    "title": result.title,
                    "seconds": round(result.seconds, 2),
                    "attempts": [asdict(attempt) for attempt in result.attempts],
                }
                for result in self.results
            ],
        }


_COLUMNS = (
    ("HELD", (Outcome.held,)),
    ("LEAKED", (Outcome.leaked, Outcome.weakened)),
    ("NOT-ISOLATED", (Outcome.not_isolated,)),
    ("NOT-RUN", (Outcome.not_run,)),
    ("ERROR", (Outcome.error,)),
)


def summary(report: Report) -> str:
    """The table and what failed, for a terminal."""
    rows = [
        [result.name, result.title, len(result.attempts), *(result.count(*wanted) or "" for _, wanted in _COLUMNS)]
        for result in report.results
    ]
    lines = [table(["ATTACK", "WHAT", "TRIED", *(name for name, _ in _COLUMNS)], rows)]
    for attempt in _worth_telling(report.attempts):
        lines.append(f"\n{attempt.outcome}: {attempt.finding}: {attempt.what} ({attempt.by})")
        lines.append(f"  {attempt.reason}" + (f"; answer: {attempt.answer}" if attempt.answer else ""))
    return "\n".join([*lines, "", report.verdict])


def _worth_telling(attempts: Iterable[Attempt]) -> list[Attempt]:
    """What did not simply hold; the same reason is told once."""
    told: set[tuple[str, str, str]] = set()
    found = []
    for attempt in attempts:
        key = (attempt.outcome, attempt.finding, "" if attempt.outcome in FAILING else attempt.reason)
        if attempt.outcome is not Outcome.held and (attempt.outcome in FAILING or key not in told):
            told.add(key)
            found.append(attempt)
    return found


def markdown(report: Report) -> str:
    """The page for people."""
    lines = [
        "# Isolation proof",
        "",
        f"**{_cell(report.verdict)}**",
        "",
        f"- started {report.started}, took {report.seconds:.0f} s",
        f"- command {report.version}, cell release {report.release}, platform {report.platform}",
        f"- victim `{report.victim}` in cell `{report.cell}`; canaries are shown as `<surface>`, credentials as"
        " `<credential>`",
    ]
    if report.only:
        lines.append(f"- only the attacks {', '.join(f'`{name}`' for name in report.only)} were run")
    lines += ["", "## Attacks", "", "| attack | what | tried | " + " | ".join(n.lower() for n, _ in _COLUMNS) + " |"]
    lines.append("|---|---|---|" + "---|" * len(_COLUMNS))
    for result in report.results:
        counts = " | ".join(str(result.count(*wanted) or "") for _, wanted in _COLUMNS)
        lines.append(f"| `{result.name}` | {_cell(result.title)} | {len(result.attempts)} | {counts} |")
    for title, wanted in (
        ("What got through", FAILING),
        ("What this edition cannot isolate", {Outcome.not_isolated}),
        ("What was not run", {Outcome.not_run}),
        ("What broke", {Outcome.error}),
    ):
        found = [attempt for attempt in _worth_telling(report.attempts) if attempt.outcome in wanted]
        if found:
            lines += ["", f"## {title}", ""]
            lines += [f"- `{a.finding}`: {_cell(a.what)} ({a.by}): {_cell(a.reason)}" for a in found]
    lines += ["", "## Every attempt"]
    for result in report.results:
        lines += ["", f"### `{result.name}`: {_cell(result.title)} ({result.seconds:.1f} s)", ""]
        lines += ["| outcome | tried | by | answer | guard |", "|---|---|---|---|---|"]
        for a in result.attempts:
            answer = a.answer + (f" [{a.reason}]" if a.reason else "")
            lines.append(f"| {a.outcome} | {_cell(a.what)} | {a.by} | {_cell(answer)} | `{a.finding}` |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text that cannot break a Markdown table or become markup."""
    escaped = "".join(f"\\{char}" if char in "\\|`*_[]<>&#" else char for char in text)
    return " ".join(escaped.split())
