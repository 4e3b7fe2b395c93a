"""The whole proof, as a person runs it, against a running platform: it holds, is signed, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from voicehelper_embedded.throwaway import ROOT, Platform

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]


def _left(platform: Platform) -> set[str]:
    """Names of what proofs made (the field of other tests may be among them)."""
    kinds = ("tenants", "cells", "tenantplans", "cellclasses")
    lines = [line for kind in kinds for line in platform.cli("get", kind).stdout.splitlines()]
    return {line.split()[0] for line in lines if "iso-" in line}


def test_isolation_holds(platform: Platform, tmp_path: Path) -> None:
    out, before = tmp_path / "report", _left(platform)
    done = platform.cli(
        "prove", "isolation", "--json", "--out", str(out), "--timeout", "900", check=False, timeout=1000
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    report = json.loads(done.stdout)["report"]
    assert report["findings"] == []
    assert set(report["outcomes"]) <= {"held", "not-isolated", "not-run"}
    assert report["outcomes"]["held"] > 500
    assert "genuine" in platform.cli("prove", "verify", f"{out}.md").stdout
    text = Path(f"{out}.json").read_text()
    assert platform.secrets["postgres_password"] not in text
    Path(f"{out}.json").write_text(text.replace('"exit_code": 0', '"exit_code": 1'))
    assert platform.cli("prove", "verify", f"{out}.json", check=False).returncode == 1
    assert _left(platform) == before


def test_an_existing_tenant(platform: Platform) -> None:
    before = _left(platform)
    done = platform.cli("prove", "isolation", "--tenant", "acme", "--only", "http.streams", check=False, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    assert _left(platform) == before


def test_an_interrupted_proof_cleans_up(platform: Platform) -> None:
    before = _left(platform)
    command = [sys.executable, "-m", "voicehelper_cli", "prove", "isolation", "--only", "http.streams"]
    process = subprocess.Popen(command, env=platform.environment, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "making tenants" not in process.stderr.readline():
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.stderr.read()
    process.stderr.close()
    assert process.wait(300) == 130
    assert _left(platform) == before


@pytest.mark.parametrize(
    "wrong", [["--only", "nothing"], ["--out", "/no/such/folder/report"], ["--timeout", "0"], ["--nothing"]]
)
def test_wrong_usage(platform: Platform, wrong: list[str]) -> None:
    assert platform.cli("prove", "isolation", *wrong, check=False).returncode == 2


def test_no_platform(platform: Platform, tmp_path: Path) -> None:
    elsewhere = Platform(tmp_path, {**platform.environment, "VOICEHELPER_HOME": str(tmp_path / "none")})
    done = elsewhere.cli("prove", "isolation", check=False)
    assert done.returncode == 3
    assert "voicehelper up" in done.stderr
