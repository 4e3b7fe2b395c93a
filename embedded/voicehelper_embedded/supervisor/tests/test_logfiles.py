"""Rotation under a writer that keeps its file open."""

from __future__ import annotations

import os

from voicehelper_embedded.supervisor.logfiles import rotate


def test_a_large_log_is_emptied_under_its_writer(tmp_path):
    log = tmp_path / "x.log"
    writer = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(writer, b"old\n" * 100)
        assert not rotate(log, limit=1000)
        assert rotate(log, limit=100)
        os.write(writer, b"new\n")
    finally:
        os.close(writer)
    assert log.read_bytes() == b"new\n"
    assert (tmp_path / "x.log.1").read_bytes() == b"old\n" * 100


def test_a_missing_log_is_no_error(tmp_path):
    assert not rotate(tmp_path / "none.log")
