"""Small files are replaced whole or not at all."""

from __future__ import annotations

import resource

import pytest
from voicehelper_embedded import files


def test_a_disk_that_is_full_keeps_the_old_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "processes.json"
    files.write_json(path, {"old": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))  # takes the first bytes, as a disk does that fills up
    try:
        with pytest.raises(OSError):
            files.write(path, "x" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files.read_json(path, None) == {"old": 1}
    assert [item.name for item in tmp_path.iterdir()] == ["processes.json"]
