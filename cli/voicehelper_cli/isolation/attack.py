"""The registry of attacks, and what an attack writes its attempts into.

An attack is an async function that is registered under a stable name::

    @attack("sql.rls", surface="postgres", needs=("neighbour",))
    async def rls(arena: Arena, tried: Recorder) -> None:
        rows = await ...
        tried.judge("SELECT * FROM messages as the neighbour", rows, by=SAME_CELL, finding="sql.rls.messages")

It records every attempt, those that held too. An exception makes the proof inconclusive.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from voicehelper_cli.isolation import attacks, stores
from voicehelper_cli.isolation.model import Attacker, Attempt, Canaries, Outcome

if TYPE_CHECKING:
    from voicehelper_cli.isolation.arena import Arena

Role = Literal["neighbour", "stranger"]
_MODULES: tuple[str, ...] = (*attacks.MODULES, *stores.MODULES)


@dataclass(slots=True)
class Recorder:
    """The attempts of one attack."""

    attack: str
    surface: str
    canaries: Canaries
    attempts: list[Attempt] = field(default_factory=list)

    def judge(
        self, what: str, answer: object, *, by: Attacker, finding: str, sent: object = b"", surface: str = ""
    ) -> Outcome:
        """Leaked where ``answer`` (text, bytes, rows, an exception) has a canary that is not in ``sent``, else held."""
        seen = self.canaries.seen(answer, sent=sent)
        reason = f"the answer has the victim's {', '.join(sorted({canary.surface for canary in seen}))}" if seen else ""
        outcome = Outcome.leaked if seen else Outcome.held
        return self.note(outcome, what, answer, by=by, finding=finding, reason=reason, surface=surface)

    def held(self, what: str, answer: object, *, by: Attacker, finding: str, surface: str = "") -> Outcome:
        """Refused, or answered with nothing of the victim (what was judged by more than canaries)."""
        return self.note(Outcome.held, what, answer, by=by, finding=finding, surface=surface)

    def leaked(
        self, what: str, answer: object, *, by: Attacker, finding: str, reason: str, surface: str = ""
    ) -> Outcome:
        """A leak that no canary shows: a count, an existence, a write."""
        return self.note(Outcome.leaked, what, answer, by=by, finding=finding, reason=reason, surface=surface)

    def weakened(
        self, what: str, answer: object, *, by: Attacker, finding: str, reason: str, surface: str = ""
    ) -> Outcome:
        """One of two guards is gone."""
        return self.note(Outcome.weakened, what, answer, by=by, finding=finding, reason=reason, surface=surface)

    def expect(
        self, holds: bool, what: str, answer: object, *, by: Attacker, finding: str, reason: str, sent: object = b""
    ) -> Outcome:
        """Held where ``holds`` and no canary is in the answer; otherwise leaked, with ``reason``."""
        if holds:
            return self.judge(what, answer, by=by, finding=finding, sent=sent)
        return self.leaked(what, answer, by=by, finding=finding, reason=reason)

    def not_isolated(self, what: str, answer: object, *, by: Attacker, finding: str, reason: str) -> Outcome:
        """The edition cannot isolate; ``reason`` names the edition."""
        return self.note(Outcome.not_isolated, what, answer, by=by, finding=finding, reason=reason)

    def not_run(self, what: str, *, by: Attacker, finding: str, reason: str) -> Outcome:
        """It cannot be tried here."""
        return self.note(Outcome.not_run, what, "", by=by, finding=finding, reason=reason)

    def note(
        self,
        outcome: Outcome,
        what: str,
        answer: object,
        *,
        by: Attacker,
        finding: str,
        reason: str = "",
        surface: str = "",
    ) -> Outcome:
        """Any outcome."""
        shown = self.canaries.shown
        self.attempts.append(
            Attempt(
                self.attack,
                surface or self.surface,
                shown(what, 400),
                by.name,
                shown(answer),
                outcome,
                finding,
                shown(reason, 400),
            )
        )
        return outcome


Run = Callable[["Arena", Recorder], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Attack:
    """``needs`` names the attackers that must exist; ``seconds`` bounds it."""

    name: str
    surface: str
    run: Run
    needs: frozenset[Role]
    seconds: float

    @property
    def title(self) -> str:
        """First line of the function's docstring."""
        return (self.run.__doc__ or self.name).strip().splitlines()[0].rstrip(".")


_registry: dict[str, Attack] = {}


def attack(
    name: str, *, surface: str, needs: Iterable[Role] = ("neighbour",), seconds: float = 60
) -> Callable[[Run], Run]:
    """Register an attack under a stable name (``group.what``)."""

    def register(run: Run) -> Run:
        known = _registry.get(name)
        if known is not None and known.run.__module__ != run.__module__:
            raise ValueError(f"two attacks are called {name}")
        _registry[name] = Attack(name, surface, run, frozenset(needs), seconds)
        return run

    return register


def all_attacks() -> list[Attack]:
    """Every attack, in the order of the modules."""
    for module in _MODULES:
        importlib.import_module(f"voicehelper_cli.isolation.{module}")
    return list(_registry.values())


def chosen(patterns: Iterable[str]) -> list[Attack]:
    """Attacks whose name is, begins with (``sql`` is all of ``sql.*``) or matches one of the patterns; all for none."""
    wanted = list(patterns)
    found = all_attacks()
    if not wanted:
        return found
    return [
        item
        for item in found
        if any(fnmatchcase(item.name, pattern) or item.name.startswith(f"{pattern.rstrip('.')}.") for pattern in wanted)
    ]
