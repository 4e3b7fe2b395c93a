"""Identity on a throwaway Postgres, spoken to over HTTP and gRPC's servicers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
import pytest
from voicehelper_control_plane import app as control_plane
from voicehelper_control_plane.identity import first_admin, repository
from voicehelper_control_plane.migrate import migrate
from voicehelper_control_plane.settings import ControlPlaneSettings
from voicehelper_core import embedded_store, names
from voicehelper_core.tests.conftest import postgres  # noqa: F401  (a fixture)
from voicehelper_crds import API_VERSION, Tenant, TenantStatus

PASSWORD = "correct horse battery"
PLATFORM = ("_public", "root@voicehelper.example")


@dataclass
class Identity:
    """The HTTP API without a socket."""

    app: Any
    pool: asyncpg.Pool
    http: httpx.AsyncClient
    tenants: dict[str, str] = field(default_factory=dict)

    async def tenant(self, name: str) -> str:
        """A tenant with the admin ``admin@<name>.example``; its id."""
        tenant_id = names.new_id()
        hashed = await self.app.state.passwords.hash(PASSWORD)
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO identity.tenants (tenant_id, name, max_users) VALUES ($1, $2, 4)", tenant_id, name
            )
            await repository.add(
                connection,
                tenant_id,
                f"admin@{name}.example",
                display_name="Admin",
                password_hash=hashed,
                role="tenant-admin",
            )
        manifest = {
            "apiVersion": API_VERSION,
            "kind": "Tenant",
            "metadata": {"name": name},
            "spec": {"planRef": "team", "admin": {"email": f"admin@{name}.example"}},
        }
        await self.store.create(manifest)
        await self.store.update_status(Tenant, name, TenantStatus(tenant_id=tenant_id))
        self.tenants[name] = tenant_id
        return tenant_id

    @property
    def store(self) -> Any:
        return self.app.state.store

    async def spec(self, name: str, **changes: Any) -> None:
        """Change a tenant's spec, as its operator's people would."""
        tenant = await self.store.get(Tenant, name)
        document = tenant.model_dump(mode="json", by_alias=True, exclude_none=True)
        kept = {key: document[key] for key in ("apiVersion", "kind")}
        await self.store.apply({**kept, "metadata": {"name": name}, "spec": {**document["spec"], **changes}})

    async def login(self, tenant: str, email: str | None = None, password: str = PASSWORD) -> httpx.Response:
        body = {"tenant": tenant, "email": email or f"admin@{tenant}.example", "password": password}
        return await self.http.post("/api/v1/identity/login", json=body)

    async def bearer(self, tenant: str, email: str | None = None) -> dict[str, str]:
        """Headers of a logged-in user."""
        answer = await self.login(tenant, email)
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.fixture
async def identity(postgres: Any, tmp_path: Any) -> AsyncIterator[Identity]:  # noqa: F811
    await embedded_store.install(postgres.dsn)
    await migrate(postgres.dsn)
    pool = await embedded_store.connect(postgres.dsn)
    await pool.execute("DELETE FROM identity.tenants WHERE tenant_id <> '_public'")
    await pool.execute("DELETE FROM identity.users; DELETE FROM identity.audit")
    await pool.execute("TRUNCATE resources.objects, resources.tombstones")
    settings = ControlPlaneSettings(
        signing_key_file=tmp_path / "key.json",
        provisioning_key="open sesame",
        platform_admin_email=PLATFORM[1],
        platform_admin_password=PASSWORD,
        login_failures=5,
    )
    app = control_plane.build(settings, embedded_store.PostgresResourceStore(pool), pool)
    await first_admin.make(app)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://identity") as http:
        yield Identity(app, pool, http)
    await asyncio.wait_for(pool.close(), 5)
