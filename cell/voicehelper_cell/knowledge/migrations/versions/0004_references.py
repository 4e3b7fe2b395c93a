"""References compare the tenants too: they pass by row-level security, so an id alone would reach any tenant's row."""

from __future__ import annotations

from voicehelper_cell import migrations

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    migrations.unique_in_tenant("documents")
    migrations.unique_in_tenant("chunks")
    migrations.refer("chunks", "document_id", "documents")
    migrations.refer("chunk_vectors", "chunk_id", "chunks")
    migrations.refer("chunk_terms", "chunk_id", "chunks")


def downgrade() -> None:
    raise NotImplementedError("the older code works with these references: there is no need to go back")
