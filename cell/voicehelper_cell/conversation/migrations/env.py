"""Alembic runs inside the caller's transaction, as the role that owns the schema."""

from alembic import context

attributes = context.config.attributes
context.configure(
    connection=attributes.get("connection"),  # none where only the SQL is asked for
    dialect_name="postgresql",
    target_metadata=None,
    version_table_schema=attributes["schema"],
)
context.run_migrations()
