"""One installation for all tests on Kubernetes: a node, stores beside it, the charts."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from voicehelper_embedded.progress import Progress

from voicehelper_e2e.cluster.at_hand import AtHand
from voicehelper_e2e.kubernetes.installation import Installation
from voicehelper_e2e.kubernetes.people import People
from voicehelper_e2e.kubernetes.stores import Stores
from voicehelper_e2e.kubernetes.wide import Wide

KEEP = "VOICEHELPER_E2E_KEEP"
"""Set, the installation stays when the tests end, and the next run uses it."""


@pytest.fixture(scope="session")
def installation() -> Iterator[Installation]:
    """Installed or upgraded; with the shared cell of the examples."""
    say, stores = Progress().say, Stores()
    stores.up(say)
    installation = Installation(AtHand(), stores, {"metricsAdapter": {"enabled": True, "replicas": 1}})
    try:
        installation.install(say)
        yield installation
    finally:
        if not os.environ.get(KEEP):
            installation.remove()
            stores.down()


@pytest.fixture(scope="session")
def people(installation: Installation) -> People:
    """``acme`` in the shared cell and ``globex`` in a cell of its own, both ready."""
    people = People(installation)
    people.arrive()
    return people


@pytest.fixture(scope="session")
def wide(people: People) -> Iterator[Wide]:
    """``initrode`` in an expanded cell of its own, ready."""
    wide = Wide(people)
    try:
        wide.arrive()
        yield wide
    finally:
        wide.leave()
