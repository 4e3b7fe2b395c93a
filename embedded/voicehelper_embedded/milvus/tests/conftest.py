"""An open Milvus Lite for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from milvus_lite.db import MilvusLite


@pytest.fixture
def database(tmp_path: Path) -> Iterator[MilvusLite]:
    opened = MilvusLite(str(tmp_path / "db"))
    yield opened
    opened.close()
