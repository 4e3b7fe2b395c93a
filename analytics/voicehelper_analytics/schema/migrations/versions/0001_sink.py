"""Progress of the sink."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE analytics.sink_positions (
            topic text NOT NULL,
            partition integer NOT NULL,
            next_offset bigint NOT NULL,
            PRIMARY KEY (topic, partition)
        )"""
    )
    op.execute(
        """
        CREATE TABLE analytics.sink_batches (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            ranges jsonb NOT NULL,
            token uuid NOT NULL DEFAULT gen_random_uuid(),
            skipped uuid[] NOT NULL DEFAULT '{}',
            begun_at timestamptz NOT NULL DEFAULT now()
        )"""
    )
    op.execute(
        """
        CREATE TABLE analytics.dead_letters (
            topic text NOT NULL,
            partition integer NOT NULL,
            record_offset bigint NOT NULL,
            reason text NOT NULL,
            value bytea,
            seen_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (topic, partition, record_offset)
        )"""
    )


def downgrade() -> None:
    op.execute("DROP TABLE analytics.dead_letters, analytics.sink_batches, analytics.sink_positions")
