"""An answer that streams belongs to its process for a while; who works on it says so again in time, the dead do not.

With several processes nobody else can tell whether the writer of an answer is alive: cells may take no advisory locks
and may not look at the sessions of others.
"""

from __future__ import annotations

from voicehelper_cell import migrations

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    migrations.execute(
        f"alter table {migrations.attribute('schema')}.messages"
        " add column leased_until timestamptz not null default now() + interval '15 seconds'"
    )


def downgrade() -> None:
    raise NotImplementedError("the older code works with this column: there is no need to go back")
