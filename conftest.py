"""Fixtures that every room's tests share: a whole embedded platform, started once for all integration tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from voicehelper_embedded.throwaway import Platform, throwaway


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """The whole platform with the two example tenants ``acme`` (shared cell) and ``globex`` (dedicated)."""
    with throwaway(faults=True) as running:
        yield running
