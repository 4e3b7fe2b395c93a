"""The pool, and Postgres being away as an error that callers know."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from voicehelper_core import postgres
from voicehelper_core.errors import Unavailable

LOST = (*postgres.LOST, asyncpg.InsufficientResourcesError)
"""What is raised while Postgres restarts or cannot be reached."""


async def connect(dsn: str) -> Any:
    """A pool that holds no connections while idle. A watch takes one of them for as long as it runs."""
    return await asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=10,
        timeout=10,
        command_timeout=30,
        server_settings={"application_name": "resources"},
    )


@asynccontextmanager
async def session(pool: Any) -> AsyncIterator[Any]:
    """A connection. Raises Unavailable where Postgres is away."""
    try:
        async with pool.acquire() as connection:
            yield connection
    except LOST as error:
        raise Unavailable(f"the resource store cannot be reached ({type(error).__name__}): try again") from error
