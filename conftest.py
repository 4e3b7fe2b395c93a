"""Fixtures that every room's tests share: a whole embedded platform, and a Kubernetes API server, each started once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from voicehelper_e2e.cluster import alone
from voicehelper_e2e.cluster.alone import ApiServer
from voicehelper_embedded.throwaway import Platform, throwaway


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """The whole platform with the two example tenants ``acme`` (shared cell) and ``globex`` (dedicated)."""
    with throwaway(faults=True) as running:
        yield running


@pytest.fixture(scope="session")
def api_server() -> Iterator[ApiServer]:
    """A Kubernetes API server with the project's CRDs and the controllers, but no node."""
    with alone.api_server() as running:
        yield running
