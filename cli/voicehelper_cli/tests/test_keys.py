"""``voicehelper keys``: which key signs, and how the next one follows."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

import pytest
from joserfc.jwk import OKPKey
from voicehelper_core import signing_key_file
from voicehelper_core.signing_keys import LEAD_SECONDS, MAX_AGE_SECONDS

OLD = OKPKey.generate_key("Ed25519", private=True)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The key file of a platform of before: one JWK."""
    path = tmp_path / "secrets" / "signing-key.json"
    path.parent.mkdir(mode=0o700)
    path.write_text(json.dumps(OLD.as_dict(private=True)))
    path.chmod(0o600)
    return path


def states(cli) -> list[str]:
    return [key["state"] for key in json.loads(cli("keys", "list", "--json").stdout)["keys"]]


def test_a_rotation_is_told_and_seen(cli, file):
    assert states(cli) == ["signs"]
    done = cli("keys", "rotate")
    assert done.exit_code == 0
    begins, withdrawn = done.stdout.splitlines()
    ring = signing_key_file.read(file)
    assert ring.keys[1].kid in begins
    assert OLD.thumbprint() in withdrawn
    assert 0 <= ring.keys[1].signs_from - time.time() - LEAD_SECONDS + 10 <= 11
    assert states(cli) == ["signs", "follows"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    shown = cli("keys", "list").stdout
    assert shown.split()[:5] == ["KEY", "STATE", "SIGNS-FROM", "AGE", "WITHDRAWN"]
    assert str(OLD.as_dict(private=True)["d"]) not in shown


def test_a_second_rotation_waits_for_the_first(cli, file):
    cli("keys", "rotate")
    held = file.read_text()
    refused = cli("keys", "rotate")
    assert refused.exit_code == 1
    assert "a rotation is under way" in refused.stderr
    assert file.read_text() == held


def test_a_short_lead_is_warned_of_and_done(cli, file):
    assert "may be refused" in cli("keys", "rotate", "--lead", "0").stdout
    deadline = time.time() + 3
    while states(cli) != ["verifies", "signs"]:
        assert time.time() < deadline
        time.sleep(0.05)
    assert cli("keys", "rotate").exit_code == 0


def test_an_emergency_needs_no_waiting(cli, file):
    cli("keys", "rotate")
    done = cli("keys", "rotate", "--emergency")
    assert done.exit_code == 0
    assert OLD.thumbprint() in done.stdout
    assert "all others log in again" in done.stdout
    assert states(cli) == ["signs"]
    assert signing_key_file.read(file).keys[0].kid != OLD.thumbprint()
    assert cli("keys", "rotate", "--emergency", "--lead", "5").exit_code == 2


def test_an_old_key_is_due(cli, file):
    assert "rotate" not in cli("keys", "list").stderr
    os.utime(file, (time.time() - MAX_AGE_SECONDS - 60,) * 2)
    listed = cli("keys", "list")
    assert "180d" in listed.stdout
    assert "rotate it with `voicehelper keys rotate`" in listed.stderr
    assert json.loads(cli("keys", "list", "--json").stdout)["due"] is True


@pytest.mark.parametrize(("text", "words"), [(None, "voicehelper up"), ("{", "broken"), ('{"keys": []}', "broken")])
def test_files_that_are_none(cli, file, text, words):
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    for command in (["list"], ["rotate"], ["rotate", "--emergency"]):
        refused = cli("keys", *command)
        assert refused.exit_code == 1
        assert words in refused.stderr
