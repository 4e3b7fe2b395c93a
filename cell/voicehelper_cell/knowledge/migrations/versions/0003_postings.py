"""Postings are read from their index alone: frequency and length of the passage stand in it too."""

from __future__ import annotations

from voicehelper_cell import migrations

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A search for frequent words reads a tenth of the pages, and no rows."""
    _replace_key(" include (frequency, term_count)")


def downgrade() -> None:
    """The code of either revision works with either key."""
    _replace_key("")


def _replace_key(include: str) -> None:
    table = f"{migrations.attribute('schema')}.chunk_terms"
    migrations.execute(f"create unique index chunk_terms_key on {table} (tenant_id, term, chunk_id){include}")
    migrations.execute(f"alter table {table} drop constraint chunk_terms_pkey")
    migrations.execute(f"alter table {table} add constraint chunk_terms_pkey primary key using index chunk_terms_key")
