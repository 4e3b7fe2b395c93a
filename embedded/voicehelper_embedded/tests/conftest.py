"""What the tests of the running platform share."""

from __future__ import annotations

import pytest
from voicehelper_embedded.watched import Watched


@pytest.fixture
def watched(platform) -> Watched:
    made = Watched(platform)
    made.until_running()
    yield made
    made.until_running()
