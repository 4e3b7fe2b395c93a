"""References compare the tenants too: they pass by row-level security, so an id alone would reach any tenant's row."""

from __future__ import annotations

from voicehelper_cell import migrations

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    migrations.unique_in_tenant("conversations")
    migrations.unique_in_tenant("messages")
    migrations.refer("messages", "conversation_id", "conversations")
    migrations.refer("message_events", "message_id", "messages")


def downgrade() -> None:
    raise NotImplementedError("the older code works with these references: there is no need to go back")
