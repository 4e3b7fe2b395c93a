"""Events are of the cell's own tenants."""

from __future__ import annotations

from voicehelper_cell import migrations

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    migrations.check_outbox({"conversation": "conversation.events"})


def downgrade() -> None:
    raise NotImplementedError("the older code works with this check: there is no need to go back")
