"""What asyncpg raises when it is not the statement that is wrong."""

from __future__ import annotations

import asyncpg

LOST: tuple[type[Exception], ...] = (
    OSError,  # TimeoutError is one
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was lost while a statement was being prepared
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shut down, crashed, starting, cancelled
)
"""Postgres restarts, cannot be reached, or went away."""
NO_ROOM: tuple[type[Exception], ...] = (asyncpg.DiskFullError, asyncpg.PostgresSystemError)
"""Its disk takes no more, or fails."""
