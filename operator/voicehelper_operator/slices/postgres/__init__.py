"""Postgres: schemas, roles, the list of placed tenants, and the publication.

``facts.py`` says what must be true for a cell and how each fact is made true, ``logins.py`` who logs in by topology,
``guards.py`` what keeps others out; ``slice.py`` checks and makes them;
``publication.py`` keeps the publication's list of tables; ``tenants.py`` keeps the list of placed tenants.
"""

from voicehelper_operator.slices.postgres.slice import PostgresSlice

__all__ = ["PostgresSlice"]
