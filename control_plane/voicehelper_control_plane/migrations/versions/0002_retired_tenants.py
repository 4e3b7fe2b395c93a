"""A tenant whose data is kept leaves its name to others; its users stay, and nobody can log in as one of them."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("ALTER TABLE identity.tenants ADD COLUMN retired_at timestamptz")


def downgrade() -> None:
    op.execute("ALTER TABLE identity.tenants DROP COLUMN retired_at")
