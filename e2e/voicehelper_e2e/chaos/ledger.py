"""What clients were promised: everything that was acknowledged, and what may have happened without a word."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Document:
    """A document by the words of its revisions; each word stands in exactly one revision of one document."""

    id: str
    word: str
    """Of the revision that was acknowledged last."""
    external_id: str = ""
    maybe: str | None = None
    """Of a revision whose upload got no answer: it is there, or ``word`` still is."""
    deleted: bool = False
    """The deletion was acknowledged."""
    deleting: bool = False
    """A deletion got no answer: the document may be gone or not."""
    old: list[str] = field(default_factory=list)
    """Words of revisions that were replaced: nobody may find them."""


@dataclass(slots=True)
class TenantLedger:
    """One tenant's side of the story. Texts and words are unique, so that each can be counted in every store."""

    name: str
    tenant_id: str
    cell: str
    """Name of the cell."""
    cell_id: str
    answers: dict[str, str] = field(default_factory=dict)
    """Id of the acknowledged answer by the question's text."""
    unanswered: set[str] = field(default_factory=set)
    """Questions that were given up: stored once or not at all."""
    conversations: list[str] = field(default_factory=list)
    """Ids of conversations whose making was acknowledged."""
    documents: dict[str, Document] = field(default_factory=dict)
    """By id."""
    unknown_uploads: set[str] = field(default_factory=set)
    """Words of first uploads without an answer: one document or none."""


@dataclass(slots=True)
class Ledger:
    """Everything that clients know."""

    tenants: dict[str, TenantLedger] = field(default_factory=dict)
    """Tenants that have to be there at the end, by name."""
    gone: list[TenantLedger] = field(default_factory=list)
    """Tenants that were deleted (policy ``Delete``): nothing of them may be left."""
    statuses: Counter[str] = field(default_factory=Counter)
    """What requests met: ``POST messages 503`` and so on, ``lost`` where there was no answer."""
    wrong: list[str] = field(default_factory=list)
    """Answers that must not happen, whatever is away."""
    successes: list[tuple[float, float, str]] = field(default_factory=list)
    """Begin and end (monotonic) and tenant of every acknowledged question."""

    def acknowledged(self) -> dict[str, int]:
        """Counts for the report."""
        tenants = list(self.tenants.values())
        documents = [document for tenant in tenants for document in tenant.documents.values()]
        return {
            "questions": sum(len(tenant.answers) for tenant in tenants),
            "documents": len(documents),
            "documents_deleted": sum(document.deleted for document in documents),
            "tenants_deleted": len(self.gone),
        }

    def first_success_after(self, moment: float, tenant: str) -> float | None:
        """Seconds from ``moment`` until the end of the first question that began after it and was answered."""
        ends = [end for begin, end, name in self.successes if begin >= moment and name == tenant]
        return min(ends) - moment if ends else None

    def answered(self, tenant: TenantLedger, text: str, answer: str, begun: float) -> None:
        """A question was acknowledged."""
        tenant.answers[text] = answer
        self.successes.append((begun, time.monotonic(), tenant.name))
