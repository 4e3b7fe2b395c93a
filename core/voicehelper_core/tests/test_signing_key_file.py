"""The file of the keys: made once, changed whole, one change after the other."""

from __future__ import annotations

import json
import os
import stat
import threading

import pytest
from joserfc.jwk import OKPKey
from voicehelper_core import signing_key_file
from voicehelper_core.errors import Conflict
from voicehelper_core.signing_keys import KeyRing

NOW = 1_800_000_000.0


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "secrets" / "signing-key.json"
    signing_key_file.make(path, KeyRing.fresh(NOW))
    return path


def test_the_first_file_is_one_jwk_and_private(file):
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    key = OKPKey.import_key(json.loads(file.read_text()))  # as releases of before read it
    assert key.thumbprint() == signing_key_file.read(file).signer(NOW).kid


def test_who_comes_second_takes_the_key_of_the_first(file):
    held = signing_key_file.read(file)
    assert signing_key_file.make(file, KeyRing.fresh(NOW)) == held
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_change_replaces_the_file_whole(file):
    file.chmod(0o644)
    inode = file.stat().st_ino
    after = signing_key_file.change(file, lambda ring: ring.rotated(NOW))
    assert signing_key_file.read(file) == after
    assert len(after.keys) == 2
    assert file.stat().st_ino != inode
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_change_keeps_the_owner(file):
    os.chown(file, 1234, 2345)
    signing_key_file.change(file, lambda ring: ring.rotated(NOW))
    assert (file.stat().st_uid, file.stat().st_gid) == (1234, 2345)


def test_what_is_refused_or_breaks_changes_nothing(file, monkeypatch):
    signing_key_file.change(file, lambda ring: ring.rotated(NOW))
    held = file.read_text()
    with pytest.raises(Conflict):
        signing_key_file.change(file, lambda ring: ring.rotated(NOW))
    with monkeypatch.context() as patched, pytest.raises(OSError, match="full"):
        patched.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("full")))
        signing_key_file.change(file, lambda _: KeyRing.fresh(NOW))
    assert file.read_text() == held
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_two_rotations_at_once_are_one(file):
    outcomes = []

    def rotate():
        try:
            signing_key_file.change(file, lambda ring: ring.rotated(NOW))
            outcomes.append("done")
        except Conflict:
            outcomes.append("refused")

    threads = [threading.Thread(target=rotate) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done"] + ["refused"] * 7
    assert len(signing_key_file.read(file).keys) == 2


@pytest.mark.parametrize(
    "text", ["", "{", '{"d": "abc"', "\ud800".encode("utf-8", "surrogatepass"), b"\xff", "[]", "[" * 100_000]
)
def test_what_is_no_file_of_keys(text):
    with pytest.raises(ValueError, match="key") as refused:
        signing_key_file.parse(text)
    assert "abc" not in str(refused.value)
