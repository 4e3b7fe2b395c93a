"""A resource store in memory, a router that answers from memory, and the command over both."""

from __future__ import annotations

import builtins
import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result
from voicehelper_cli import client, resources
from voicehelper_cli.client import Credentials, RouterClient
from voicehelper_cli.failures import Failure
from voicehelper_cli.main import create_app
from voicehelper_cli.resources import Resources
from voicehelper_core import errors
from voicehelper_core.ports import Event
from voicehelper_crds.models import Tenant
from voicehelper_crds.validation import ValidationFailed, validate


class MemoryStore:
    """``ports.ResourceStore`` without watches."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Any] = {}
        self._versions = itertools.count(1)

    async def get(self, kind: Any, name: str) -> Any:
        try:
            return self.objects[kind.kind_name, name]
        except KeyError:
            raise errors.NotFound(f"{kind.kind_name} '{name}' does not exist") from None

    async def list(self, kind: Any, labels: Mapping[str, str] | None = None) -> builtins.list[Any]:
        return [item for (name, _), item in sorted(self.objects.items()) if name == kind.kind_name]

    async def apply(self, manifest: Mapping[str, Any]) -> Any:
        try:
            wanted = validate(manifest)
        except ValidationFailed as failed:
            raise errors.InvalidArgument(str(failed), errors=failed.errors) from None
        key = (wanted.kind_name, wanted.metadata.name)
        old = self.objects.get(key)
        if old is not None and old.spec == wanted.spec:
            return old
        meta = wanted.metadata
        meta.uid = old.metadata.uid if old else f"uid-{next(self._versions)}"
        meta.generation = (old.metadata.generation if old else 0) + 1
        meta.resource_version = str(next(self._versions))
        meta.creation_timestamp = old.metadata.creation_timestamp if old else datetime.now(UTC)
        if old is not None:
            wanted.status = old.status
        self.objects[key] = wanted
        return wanted

    async def delete(self, kind: Any, name: str) -> None:
        item = await self.get(kind, name)
        if getattr(getattr(item.spec, "deletion", None), "protect", False):
            raise errors.PermissionDenied("protected: set spec.deletion.protect to false first")
        if item.metadata.finalizers:
            item.metadata.deletion_timestamp = datetime.now(UTC)
        else:
            del self.objects[kind.kind_name, name]


class MemoryEvents:
    """``ports.EventRecorder`` that only reads."""

    def __init__(self) -> None:
        self.recorded: list[Event] = []

    async def events(self, kind: str, name: str) -> list[Event]:
        return [item for item in self.recorded if (item.kind, item.name) == (kind, name)]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def events() -> MemoryEvents:
    return MemoryEvents()


class Router:
    """Answers like the router; ``script`` holds answers for ``METHOD path`` that are given once, in order."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answers: dict[str, Callable[[httpx.Request], httpx.Response]] = {}
        self.script: dict[str, list[httpx.Response]] = {}
        self.logins = 0
        self.expires_in = 900

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        key = f"{request.method} {request.url.path}"
        if self.script.get(key):
            return self.script[key].pop(0)
        if key == "POST /api/v1/identity/login":
            self.logins += 1
            return httpx.Response(200, json={"access_token": f"token-{self.logins}", "expires_in": self.expires_in})
        if key in self.answers:
            return self.answers[key](request)
        return httpx.Response(404, json={"detail": f"no such route: {key}", "status": 404})

    def client(self) -> RouterClient:
        credentials = Credentials("acme", "admin@acme.example", "secret")
        return RouterClient("http://router.example", credentials, transport=httpx.MockTransport(self))


@pytest.fixture
def router() -> Router:
    return Router()


@pytest.fixture
def cli(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store: MemoryStore, events: MemoryEvents, router: Router
) -> Callable[..., Result]:
    """Runs the command in this process, over the store and the router in memory."""

    @asynccontextmanager
    async def opened(_: Any) -> AsyncIterator[Resources]:
        yield Resources(store, events)  # type: ignore[arg-type]

    @asynccontextmanager
    async def connected(_: Any, tenant: str) -> AsyncIterator[RouterClient]:
        if ("Tenant", tenant) not in store.objects:
            raise Failure(f"tenant/{tenant} does not exist")
        async with router.client() as made:
            yield made

    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "ports.json").write_text(json.dumps({"router": 1}))
    monkeypatch.setenv("VOICEHELPER_HOME", str(tmp_path))
    monkeypatch.setattr(resources, "open_resources", opened)
    monkeypatch.setattr(client, "tenant_client", connected)
    monkeypatch.setattr(client, "_BACKOFF_SECONDS", (0.0, 0.0))

    def run(*arguments: str, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(create_app(), list(arguments), input=stdin)
        if isinstance(result.exception, Failure):  # what main() does
            result.exit_code = result.exception.exit_code
            result.stderr_bytes = (result.stderr_bytes or b"") + f"error: {result.exception.message}\n".encode()
        elif result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


TENANT = """\
apiVersion: voicehelper.io/v1alpha1
kind: Tenant
metadata: {name: acme}
spec:
  planRef: team
  admin: {email: admin@acme.example}
"""


@pytest.fixture
async def acme(store: MemoryStore) -> Tenant:
    """The tenant ``acme``."""
    import yaml

    tenant: Tenant = await store.apply(yaml.safe_load(TENANT))
    return tenant
