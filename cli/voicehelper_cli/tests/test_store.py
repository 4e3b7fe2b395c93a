"""The command as a process against the real resource store, without the rest of a platform."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from voicehelper_core import embedded_store
from voicehelper_core.embedded_secrets import FileSecretStore
from voicehelper_core.tests.conftest import Postgres, postgres

__all__ = ["postgres"]
pytestmark = pytest.mark.integration
Run = Callable[..., subprocess.CompletedProcess[str]]
EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture
async def run(postgres: Postgres, tmp_path: Path) -> Run:
    await embedded_store.install(postgres.dsn)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "ports.json").write_text(json.dumps({"router": 1}))
    await FileSecretStore(tmp_path / "secrets").put("platform", {"control_plane_dsn": postgres.dsn})
    environment = {**os.environ, "VOICEHELPER_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        full = [sys.executable, "-m", "voicehelper_cli", *arguments]
        return subprocess.run(full, env=environment, capture_output=True, text=True, timeout=60, check=False)

    return command


def test_from_apply_to_delete(run: Run) -> None:
    assert "tenant/acme created" in run("apply", "-f", str(EXAMPLES)).stdout.splitlines()
    again = run("apply", "-f", str(EXAMPLES)).stdout.splitlines()
    assert again
    assert all(line.endswith(" unchanged") for line in again)
    items = json.loads(run("get", "tenants", "-o", "json").stdout)["items"]
    assert [item["metadata"]["name"] for item in items] == ["acme", "globex"]
    assert "planRef: team" in run("describe", "tenant/acme").stdout
    waiting = run("wait", "tenant/acme", "--for", "condition=Ready", "--timeout", "300ms")
    assert waiting.returncode == 1
    assert "no such condition" in waiting.stderr
    no_admin = run("token", "--tenant", "acme")
    assert no_admin.returncode == 1
    assert "has no admin yet" in no_admin.stderr
    assert run("delete", "tenant", "globex", "--wait").stdout == "tenant/globex deleted\n"
    assert run("get", "tenant", "globex").returncode == 1


def test_when_postgres_is_away_it_is_not_running(run: Run, postgres: Postgres) -> None:
    postgres.stop()
    try:
        done = run("get", "tenants")
    finally:
        postgres.start()
    assert done.returncode == 1
    assert done.stderr == "error: the platform is not running: start it with `voicehelper up`\n"
