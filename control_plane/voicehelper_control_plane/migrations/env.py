"""Alembic runs inside the caller's transaction."""

from alembic import context
from voicehelper_control_plane.migrate import SCHEMA

context.configure(
    connection=context.config.attributes.get("connection"),  # none where only the SQL is asked for
    dialect_name="postgresql",
    target_metadata=None,
    version_table_schema=SCHEMA,
)
context.run_migrations()
