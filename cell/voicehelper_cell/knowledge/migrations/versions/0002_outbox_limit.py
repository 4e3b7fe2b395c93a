"""A largest size of events."""

from __future__ import annotations

from voicehelper_cell import migrations

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rows that are there already have gone to Kafka."""
    migrations.limit_outbox()


def downgrade() -> None:
    """Nothing else knows of the limit."""
    migrations.unlimit_outbox()
