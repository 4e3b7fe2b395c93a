"""``python -m voicehelper_control_plane rotate-key``: keys in, keys out, and nothing where it is refused."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from joserfc.jwk import OKPKey
from voicehelper_control_plane.identity import rotate_key
from voicehelper_core import signing_key_file
from voicehelper_core.signing_keys import LEAD_SECONDS, KeyRing

OLD = OKPKey.generate_key("Ed25519", private=True)
FILE = json.dumps(OLD.as_dict(private=True))


def rotated(given: str, *arguments: str) -> str:
    made = io.StringIO()
    rotate_key.main(arguments, io.StringIO(given), made)
    return made.getvalue()


def test_a_key_follows(capsys):
    ring = signing_key_file.parse(rotated(FILE))
    assert ring.keys[0].kid == OLD.thumbprint()
    assert 0 <= ring.keys[1].signs_from - time.time() - LEAD_SECONDS + 5 <= 6
    assert capsys.readouterr().err.count("\n") == 2
    assert rotated(FILE, "--lead", "5")
    assert "may be refused" in capsys.readouterr().err


def test_in_an_emergency_the_old_ones_are_gone(capsys):
    ring = signing_key_file.parse(rotated(rotated(FILE), "--emergency"))
    assert [key.kid == OLD.thumbprint() for key in ring.keys] == [False]
    assert "Refresh tokens" in capsys.readouterr().err


def test_a_patch_of_the_secret():
    patch = json.loads(rotated(FILE, "--patch"))
    assert list(patch) == ["data"]
    assert list(patch["data"]) == ["signing-key.json"]
    assert len(KeyRing.of(json.loads(base64.b64decode(patch["data"]["signing-key.json"]))).keys) == 2


@pytest.mark.parametrize(
    "given", ["", "{}", "no", json.dumps(OLD.as_dict(private=False))], ids=["nothing", "no key", "no JSON", "public"]
)
def test_what_is_refused_writes_nothing(given):
    made = io.StringIO()
    for text in (given, rotated(FILE)):
        with pytest.raises(SystemExit, match="not rotated: "):
            rotate_key.main(["--patch"], io.StringIO(text), made)
    assert made.getvalue() == ""


@pytest.mark.parametrize("arguments", [["--lead", "-1"], ["--lead", "soon"], ["more"]])
def test_wrong_usage(arguments, capsys):
    with pytest.raises(SystemExit) as refused:
        rotate_key.main(arguments, io.StringIO(FILE), io.StringIO())
    assert refused.value.code == 2


def test_as_a_command(tmp_path: Path):
    command = [sys.executable, "-m", "voicehelper_control_plane", "rotate-key"]
    done = subprocess.run(command, input=FILE, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert len(signing_key_file.parse(done.stdout).keys) == 2
    assert "begins to sign" in done.stderr
    again = subprocess.run(command, input=done.stdout, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (again.returncode, again.stdout) == (1, "")
    assert "a rotation is under way" in again.stderr
