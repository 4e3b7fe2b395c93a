"""Fixtures that every room's tests share: a whole embedded platform, started once for all integration tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parent
ROOMS = ("crds", "core", "operator", "control_plane", "router", "cell", "analytics", "cli", "embedded")


@dataclass
class Platform:
    """A running platform with its own home, ports and Envoy base id, so that it disturbs no other one."""

    home: Path
    environment: dict[str, str]
    tokens: dict[str, str] = field(default_factory=dict)

    def cli(
        self, *arguments: str, check: bool = True, timeout: float = 180, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run ``voicehelper`` against this platform."""
        result = subprocess.run(
            [sys.executable, "-m", "voicehelper_cli", *arguments],
            env=self.environment,
            cwd=ROOT,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and result.returncode != 0:
            raise AssertionError(
                f"voicehelper {' '.join(arguments)} ended with {result.returncode}:\n{result.stdout}{result.stderr}"
            )
        return result

    @property
    def ports(self) -> dict[str, int]:
        """Ports by name."""
        ports: dict[str, int] = json.loads((self.home / "state" / "ports.json").read_text())
        return ports

    @property
    def router(self) -> str:
        """URL of the router."""
        return f"http://127.0.0.1:{self.ports['router']}"

    def token(self, tenant: str | None) -> str:
        """A fresh token of the tenant's admin, or the platform admin's for None."""
        return self.cli("token", *(["--tenant", tenant] if tenant else ["--platform"])).stdout.strip()

    def client(self, tenant: str) -> httpx.Client:
        """A client that speaks for the tenant's admin through the router."""
        headers = {"X-Tenant-ID": tenant, "Authorization": f"Bearer {self.token(tenant)}"}
        return httpx.Client(base_url=self.router, headers=headers, timeout=60, trust_env=False)

    def resource(self, kind: str, name: str) -> dict[str, object]:
        """A resource as JSON."""
        document: dict[str, object] = json.loads(self.cli("get", kind, name, "-o", "json").stdout)
        return document


def _home(factory: pytest.TempPathFactory) -> Path:
    # Services run as users of their own, who cannot enter pytest's private folders.
    return Path(f"/var/lib/voicehelper-test-{os.getpid()}") if os.geteuid() == 0 else factory.mktemp("home")


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The whole platform with the two example tenants ``acme`` (shared cell) and ``globex`` (dedicated).

    ``VOICEHELPER_TEST_HOME`` names one that runs already; it is used as it is and left running.
    """
    running_home = os.environ.get("VOICEHELPER_TEST_HOME")
    home = Path(running_home) if running_home else _home(tmp_path_factory)
    environment = {
        **os.environ,
        "VOICEHELPER_HOME": str(home),
        "PYTHONPATH": ":".join(str(ROOT / room) for room in ROOMS),
        "NO_COLOR": "1",
    }
    running = Platform(home, environment)
    if running_home:
        yield running
        return
    try:
        running.cli("up", "--no-demo", timeout=420)
        running.cli("apply", "-f", "examples")
        for tenant in ("acme", "globex"):
            running.cli("wait", f"tenant/{tenant}", "--for", "condition=Ready", "--timeout", "120s")
        yield running
    finally:
        running.cli("clean", check=False)
