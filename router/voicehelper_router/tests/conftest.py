"""A router for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from voicehelper_router.tests.harness import RouterUnderTest, running


@pytest_asyncio.fixture(scope="module")
async def router(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RouterUnderTest]:
    """One a module: tests leave it as they found it, or call ``load``."""
    async with running(tmp_path_factory.mktemp("router")) as started:
        yield started
