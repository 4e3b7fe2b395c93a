"""Documents, passages, postings, embeddings, totals, idempotency keys and the outbox."""

from __future__ import annotations

from pathlib import Path

from voicehelper_cell import migrations
from voicehelper_core import names

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = ("documents", "chunks", "chunk_vectors", "chunk_terms", "totals", "idempotency")


def _run(statements: str) -> None:
    """One statement at a time; they are split at ``;`` outside of function bodies."""
    parts = statements.split("$$")
    pieces = [""]
    for number, part in enumerate(parts):
        if number % 2:
            pieces[-1] += f"$${part}$$"
            continue
        first, *rest = part.split(";")
        pieces[-1] += first
        pieces += rest
    for piece in pieces:
        if piece.strip():
            migrations.execute(piece)


def upgrade() -> None:
    """Everything of the schema; the workload may change rows of its tenant and only add to the outbox."""
    schema = migrations.attribute("schema")
    role = names.service_role(migrations.attribute("cell_id"), "knowledge")
    lines = Path(__file__).with_suffix(".sql").read_text().splitlines()
    _run("\n".join(line for line in lines if not line.startswith("--")).replace("{schema}", schema))
    migrations.execute(f"grant usage on schema {schema} to {role}")
    for table in _TABLES:
        migrations.protect(table, "knowledge")
    migrations.outbox("knowledge", {"document": "document.events"})


def downgrade() -> None:
    """The first revision has nothing to go back to."""
    raise NotImplementedError
