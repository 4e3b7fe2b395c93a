"""The knowledge service's schema of two tenants on a throwaway server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from voicehelper_cell.database import Database, connect
from voicehelper_cell.indexing.tests.conftest import postgres_dsn  # noqa: F401
from voicehelper_cell.tests.conftest import CELL, Slice, slices  # noqa: F401


@pytest.fixture
async def knowledge(slices: list[Slice]) -> AsyncIterator[Database]:  # noqa: F811
    """Empty tables of documents."""
    await slices[0].admin(f"truncate {CELL}_knowledge.documents, {CELL}_knowledge.totals cascade")
    database = Database(await connect(slices[0].dsn, 2), CELL, "knowledge")
    yield database
    await database.close()
