"""One field for all tests of a module: making tenants and a dedicated cell takes longer than an attack."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from voicehelper_cli.context import Home
from voicehelper_cli.isolation.arena import Arena, arena
from voicehelper_embedded.throwaway import Platform


@pytest.fixture(scope="module")
async def field(platform: Platform) -> AsyncIterator[Arena]:
    """A victim with canaries, a neighbour and a stranger on the running platform."""
    async with arena(Home(platform.home)) as made:
        yield made
