"""A platform of one's own for tests, fault campaigns and benchmarks: own home, ports, users and Envoy base id.

It disturbs no other platform of the machine and is removed at the end. ``VOICEHELPER_TEST_HOME`` names one that runs
already; that one is used as it is and left running.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import httpx
import yaml
from voicehelper_crds.validation import API_VERSION

from voicehelper_embedded.context import DATABASE, HOST, kafka_admin

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("crds", "core", "operator", "control_plane", "router", "cell", "analytics", "cli", "embedded")
UP_SECONDS = 420


@dataclass(frozen=True)
class Platform:
    """A platform below ``home``, driven by its command."""

    home: Path
    environment: dict[str, str]

    def cli(
        self, *arguments: str, check: bool = True, timeout: float = 180, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run ``voicehelper`` against this platform. Raises AssertionError with its output where it fails."""
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

    @property
    def secrets(self) -> dict[str, Any]:
        """The platform's own credentials (Postgres superuser, Kafka admin, ...)."""
        bundle: dict[str, Any] = json.loads((self.home / "secrets" / "platform.json").read_text())
        return bundle

    @property
    def postgres_dsn(self) -> str:
        """Postgres as its superuser."""
        return f"postgresql://postgres:{self.secrets['postgres_password']}@{HOST}:{self.ports['postgres']}/{DATABASE}"

    @property
    def kafka_admin(self) -> dict[str, Any]:
        """Settings of a Kafka client that may do everything."""
        return kafka_admin(f"{HOST}:{self.ports['kafka']}", self.secrets)

    @property
    def faults(self) -> Path:
        """Folder in which fault points are armed, where the platform was started so that they can be."""
        return self.home / "faults"

    def token(self, tenant: str | None) -> str:
        """A fresh token of the tenant's admin, or the platform admin's for None."""
        return self.cli("token", *(["--tenant", tenant] if tenant else ["--platform"])).stdout.strip()

    def headers(self, tenant: str) -> dict[str, str]:
        """What a request of the tenant's admin through the router carries."""
        return {"X-Tenant-ID": tenant, "Authorization": f"Bearer {self.token(tenant)}"}

    def client(self, tenant: str) -> httpx.Client:
        """A client that speaks for the tenant's admin through the router."""
        return httpx.Client(base_url=self.router, headers=self.headers(tenant), timeout=60, trust_env=False)

    def resource(self, kind: str, name: str) -> dict[str, Any]:
        """A resource as JSON."""
        document: dict[str, Any] = json.loads(self.cli("get", kind, name, "-o", "json").stdout)
        return document


def environment_of(home: Path) -> dict[str, str]:
    """What ``voicehelper`` is run with."""
    return {
        **os.environ,
        "VOICEHELPER_HOME": str(home),
        "PYTHONPATH": ":".join(str(ROOT / room) for room in ROOMS),
        "NO_COLOR": "1",
    }


def tenant(name: str, plan: str, **spec: Any) -> dict[str, Any]:
    """The manifest of a tenant of which nothing is left when it is deleted."""
    always = {"planRef": plan, "admin": {"email": f"admin@{name}.example"}, "deletion": {"policy": "Delete"}}
    metadata = {"name": name}
    return {"apiVersion": API_VERSION, "kind": "Tenant", "metadata": metadata, "spec": {**always, **spec}}


def _talkative_team() -> dict[str, Any]:
    """The example's plan, with more tokens a day than all tests together use."""
    plans: list[dict[str, Any]] = [*yaml.safe_load_all((ROOT / "examples" / "plans.yaml").read_text())]
    team = next(item for item in plans if item["kind"] == "TenantPlan" and item["metadata"]["name"] == "team")
    team["spec"]["quota"]["tokensPerDay"] = 1_000_000_000
    return team


def _own_home(prefix: str) -> Path:
    # Services run as users of their own, who cannot enter private folders of the caller.
    if os.geteuid() == 0:
        return Path(f"/var/lib/{prefix}-{os.getpid()}")
    return Path(tempfile.mkdtemp(prefix=f"{prefix}-"))


@contextmanager
def throwaway(
    prefix: str = "voicehelper-test",
    *,
    environment: Mapping[str, str] | None = None,
    examples: bool = True,
    faults: bool = False,
) -> Iterator[Platform]:
    """A running platform, with the example tenants ``acme`` (shared cell) and ``globex`` (dedicated) unless told not.

    ``environment`` is added to that of ``voicehelper up``; with ``faults`` fault points can be armed, for which every
    process looks into a folder at each point. Raises AssertionError where the platform does not start.
    """
    running_home = os.environ.get("VOICEHELPER_TEST_HOME")
    home = Path(running_home) if running_home else _own_home(prefix)
    platform = Platform(home, environment_of(home) | dict(environment or {}))
    if faults:
        platform.environment["VOICEHELPER_FAULT_FOLDER"] = str(platform.faults)
    if running_home:
        yield platform
        return
    before = signal.signal(signal.SIGTERM, _end)
    try:
        platform.cli("up", "--no-demo", timeout=UP_SECONDS)
        if examples:
            platform.cli("apply", "-f", "examples")
            platform.cli("apply", "-f", "-", stdin=json.dumps(_talkative_team()))
            for tenant in ("acme", "globex"):
                platform.cli("wait", f"tenant/{tenant}", "--for", "condition=Ready", "--timeout", "120s")
        yield platform
    finally:
        platform.cli("clean", check=False)
        signal.signal(signal.SIGTERM, before)


def _end(*_: object) -> NoReturn:
    """Who is told to end removes the platform first."""
    sys.exit(128 + signal.SIGTERM)
