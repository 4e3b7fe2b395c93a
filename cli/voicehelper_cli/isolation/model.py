"""What an attempt, its outcome and a canary are."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

ANSWER_LENGTH = 240


class Outcome(StrEnum):
    """How an attempt ended."""

    held = "held"
    """Nothing of the victim was seen or changed."""
    leaked = "leaked"
    """A canary, an id, a count or the existence of something was seen, or a write took effect."""
    weakened = "weakened"
    """One of two guards is gone; only the other one held. The proof fails all the same."""
    not_isolated = "not-isolated"
    """The edition of a store cannot isolate (Milvus Lite has no users, say); the reason says so."""
    not_run = "not-run"
    """Could not be tried here; the reason says what is needed (root, say)."""
    error = "error"
    """The attempt itself broke: the proof is inconclusive."""


FAILING = frozenset({Outcome.leaked, Outcome.weakened})


@dataclass(frozen=True, slots=True)
class Canary:
    """A random word, planted on one surface (``message``, ``document``, ``event``, ...) or an id that was given out."""

    surface: str
    secret: str

    @classmethod
    def fresh(cls, surface: str) -> Canary:
        """One lower-case word, so that search engines, mail addresses and paths take it as it is."""
        return cls(surface, f"canary{secrets.token_hex(10)}")


def _forms(secret: str) -> tuple[bytes, ...]:
    """The word as it is and as the middle of something in base64 (three alignments), hex and UTF-16."""
    raw = secret.encode()
    encoded = []
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + raw)
        # The first and last characters depend on the neighbours.
        encoded.append(text[offset + 1 if offset else 0 : len(text) - 4])
    urlsafe = [form.replace(b"+", b"-").replace(b"/", b"_") for form in encoded]
    return tuple({raw, raw.hex().encode(), secret.encode("utf-16-le"), *encoded, *urlsafe})


@dataclass(slots=True)
class Canaries:
    """All that were planted, and what a report may not show."""

    planted: list[Canary] = field(default_factory=list)
    _forms: dict[Canary, tuple[bytes, ...]] = field(default_factory=dict)
    _hidden: set[str] = field(default_factory=set)

    def plant(self, surface: str, secret: str | None = None) -> Canary:
        """A new canary; with ``secret`` one that exists already (an id of the victim, say)."""
        canary = Canary(surface, secret) if secret else Canary.fresh(surface)
        if canary not in self._forms:
            self.planted.append(canary)
            self._forms[canary] = _forms(canary.secret)
        return canary

    def of(self, surface: str) -> Canary:
        """The first one of a surface. Raises KeyError."""
        for canary in self.planted:
            if canary.surface == surface:
                return canary
        raise KeyError(surface)

    def hide(self, *secrets: str) -> None:
        """Credentials that must not be in a report."""
        self._hidden.update(secret for secret in secrets if secret)

    def seen(self, data: object, *, sent: object = b"") -> list[Canary]:
        """Canaries in ``data`` that the attacker did not say itself in ``sent``."""
        answer, request = _bytes(data), _bytes(sent)
        return [
            canary
            for canary, forms in self._forms.items()
            if any(form in answer for form in forms) and not any(form in request for form in forms)
        ]

    def shown(self, data: object, length: int = ANSWER_LENGTH) -> str:
        """``data`` as a report shows it: canaries by their surface, no credentials, one short line."""
        text = _bytes(data).decode("utf-8", "replace")
        for canary in sorted(self.planted, key=lambda item: -len(item.secret)):
            text = text.replace(canary.secret, f"<{canary.surface}>")
        for secret in self._hidden:
            text = text.replace(secret, "<credential>")
        text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
        return text if len(text) <= length else f"{text[: length - 1]}…"


def _bytes(data: object) -> bytes:
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    if isinstance(data, str):
        return data.encode("utf-8", "replace")
    if isinstance(data, Iterable) and not isinstance(data, dict):
        return b"\n".join(_bytes(item) for item in data)
    return str(data).encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Attacker:
    """Whose credentials an attempt was made with; ``name`` is what the report says."""

    name: str


NOBODY = Attacker("no credentials")
NEIGHBOUR = Attacker("API token of another tenant in the same cell")
STRANGER = Attacker("API token of a tenant in another cell")
FOREIGN_CELL = Attacker("store credentials of another cell")
SAME_CELL = Attacker("store credentials of the victim's own cell, as another tenant")
FOREIGN_USER = Attacker("operating-system user of another cell")
FORGER = Attacker("forged token")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One thing that was tried. ``finding`` is the stable name of the guard that is tested (``sql.rls.messages``)."""

    attack: str
    surface: str
    what: str
    by: str
    answer: str
    outcome: Outcome
    finding: str
    reason: str = ""
    """Why it leaked, cannot be isolated or was not run."""
