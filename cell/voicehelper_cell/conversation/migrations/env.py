"""Alembic runs inside the caller's transaction, as the role that owns the schema."""

from alembic import context

attributes = context.config.attributes
context.configure(connection=attributes["connection"], target_metadata=None, version_table_schema=attributes["schema"])
context.run_migrations()
