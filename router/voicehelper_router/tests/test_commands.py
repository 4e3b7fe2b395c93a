"""The commands that an image without a shell needs: write Envoy's configuration to a file, run the binary."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from voicehelper_router.bootstrap import render
from voicehelper_router.envoy import VARIABLE
from voicehelper_router.settings import BootstrapSettings

DOCUMENT = {"listen_port": 8080, "jwks_port": 8081, "identity_host": "identity.example", "identity_port": 8080}


def router(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "voicehelper_router", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_bootstrap_goes_to_the_file_that_is_named(tmp_path: Path) -> None:
    file, expected = tmp_path / "envoy.json", render(BootstrapSettings.model_validate(DOCUMENT))
    done = router("bootstrap", json.dumps(DOCUMENT), str(file))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert json.loads(file.read_text()) == expected
    assert json.loads(router("bootstrap", json.dumps(DOCUMENT)).stdout) == expected


def test_envoy_takes_the_place_of_the_process() -> None:
    done = router("envoy", "/run/envoy.json", "3", **{VARIABLE: "/bin/echo"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("--config-path /run/envoy.json --base-id 0 ")
    assert "--concurrency 3 " in done.stdout


def test_what_is_not_a_command_is_refused_with_the_usage() -> None:
    done = router("envoy")
    assert done.returncode == 1
    assert "usage: python -m voicehelper_router serve" in done.stderr
