"""What asyncpg says when Postgres is killed in the middle of something is an outage, not a defect."""

from __future__ import annotations

from contextlib import asynccontextmanager

import asyncpg
import pytest
from voicehelper_core import errors
from voicehelper_core.embedded_store.connection import session

SAID = [
    asyncpg.InternalClientError("cannot switch to state 11; another operation (2) is in progress"),
    asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
    asyncpg.InterfaceError("the underlying connection is closed"),
    ConnectionResetError(),
]


@pytest.mark.parametrize("said", SAID, ids=lambda error: type(error).__name__)
async def test_a_lost_connection_is_unavailable(said):
    class Pool:
        @asynccontextmanager
        async def acquire(self):
            yield None

    with pytest.raises(errors.Unavailable):
        async with session(Pool()):
            raise said
    assert isinstance(errors.expected(said), errors.Unavailable)
