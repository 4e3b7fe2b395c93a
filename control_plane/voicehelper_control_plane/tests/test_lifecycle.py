"""What happens to users and sessions when tenants and users come, pause and go."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest
from voicehelper_control_plane import app as control_plane
from voicehelper_control_plane import migrate
from voicehelper_control_plane.settings import ControlPlaneSettings
from voicehelper_control_plane.tests.conftest import PASSWORD, PLATFORM
from voicehelper_core import embedded_store, names
from voicehelper_core.gen.identity.v1 import provisioning_pb2, provisioning_pb2_grpc
from voicehelper_core.grpc_service import channel
from voicehelper_crds import Tenant, TenantStatus

pytestmark = pytest.mark.integration
KEY = (("x-provisioning-key", "open sesame"),)


async def refreshed(identity, token: str) -> tuple[int, str]:
    answer = await identity.http.post("/api/v1/identity/refresh", json={"refresh_token": token})
    return answer.status_code, answer.json().get("refresh_token", "")


async def actions(identity) -> list[str]:
    rows = await identity.pool.fetch("SELECT action FROM identity.audit ORDER BY id")
    return [row["action"] for row in rows]


async def removed(identity, tenant_id: str) -> None:
    server = control_plane.grpc_server(identity.app)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with channel(f"127.0.0.1:{port}") as connection:
        stub = provisioning_pb2_grpc.ProvisioningServiceStub(connection)
        for _ in range(2):
            await stub.RemoveTenant(provisioning_pb2.RemoveTenantRequest(tenant_id=tenant_id), metadata=KEY)
    await server.stop(0)


async def ensured(identity, name: str, tenant_id: str):
    server = control_plane.grpc_server(identity.app)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with channel(f"127.0.0.1:{port}") as connection:
        stub = provisioning_pb2_grpc.ProvisioningServiceStub(connection)
        request = provisioning_pb2.EnsureTenantRequest(
            name=name, tenant_id=tenant_id, admin_email=f"admin@{name}.example", admin_password="a new password"
        )
        answer = await stub.EnsureTenant(request, metadata=KEY)
    await server.stop(0)
    return answer


async def test_a_suspended_tenant_cannot_refresh_and_can_again_later(identity):
    await identity.tenant("acme")
    token = (await identity.login("acme")).json()["refresh_token"]
    await identity.spec("acme", suspended=True)
    assert (await refreshed(identity, token))[0] == 403
    await identity.spec("acme", suspended=False)
    assert (await refreshed(identity, token))[0] == 200


async def test_a_tenant_that_is_gone_cannot_refresh(identity):
    await identity.tenant("acme")
    token = (await identity.login("acme")).json()["refresh_token"]
    await identity.store.delete(Tenant, "acme")
    assert (await refreshed(identity, token))[0] == 401


async def test_a_tenant_of_the_same_name_is_another_one(identity):
    await identity.tenant("acme")
    token = (await identity.login("acme")).json()["refresh_token"]
    await identity.store.update_status(Tenant, "acme", TenantStatus(tenant_id=names.new_id()))
    assert (await refreshed(identity, token))[0] == 401


async def test_a_removed_user_cannot_refresh_nor_use_its_token(identity):
    await identity.tenant("acme")
    admin = await identity.bearer("acme")
    body = {"email": "sam@acme.example", "password": PASSWORD}
    user = (await identity.http.post("/api/v1/identity/users", headers=admin, json=body)).json()["id"]
    pair = (await identity.login("acme", "sam@acme.example")).json()
    await identity.http.delete(f"/api/v1/identity/users/{user}", headers=admin)
    assert (await refreshed(identity, pair["refresh_token"]))[0] == 401
    answer = await identity.http.get("/api/v1/identity/me", headers={"Authorization": f"Bearer {pair['access_token']}"})
    assert answer.status_code == 401


async def test_an_expired_refresh_token_is_refused(identity):
    await identity.tenant("acme")
    token = (await identity.login("acme")).json()["refresh_token"]
    await identity.pool.execute("UPDATE identity.refresh_tokens SET expires_at = now() - $1::interval", timedelta(1))
    assert (await refreshed(identity, token))[0] == 401


async def test_refresh_tokens_are_kept_as_hashes(identity):
    await identity.tenant("acme")
    token = (await identity.login("acme")).json()["refresh_token"]
    row = await identity.pool.fetchrow("SELECT * FROM identity.refresh_tokens")
    assert token.encode() not in bytes(row["token_hash"])
    assert len(row["token_hash"]) == 32


async def test_the_end_of_a_session_is_in_the_audit_log(identity):
    await identity.tenant("acme")
    first = (await identity.login("acme")).json()["refresh_token"]
    await refreshed(identity, first)
    await refreshed(identity, first)
    again = (await identity.login("acme")).json()["refresh_token"]
    await identity.http.post("/api/v1/identity/logout", json={"refresh_token": again})
    await identity.http.post("/api/v1/identity/logout", json={"refresh_token": again})
    assert await actions(identity) == ["user.create", "login", "session.reuse", "login", "logout"]


@pytest.mark.parametrize(("policy", "kept"), [("Delete", 0), ("Retain", 1), ("Archive", 1)])
async def test_users_go_only_where_the_deletion_policy_says_so(identity, policy, kept):
    tenant_id = await identity.tenant("acme")
    await identity.spec("acme", deletion={"policy": policy})
    token = (await identity.login("acme")).json()["refresh_token"]
    await removed(identity, tenant_id)
    found = await identity.pool.fetchval("SELECT count(*) FROM identity.users WHERE tenant_id = $1", tenant_id)
    assert found == kept
    assert (await identity.login("acme")).status_code == 401
    assert (await identity.login(f"acme.{tenant_id}", "admin@acme.example")).status_code == 401
    assert (await refreshed(identity, token))[0] == 401


async def test_a_new_tenant_of_a_kept_name_sees_none_of_its_users(identity):
    old = await identity.tenant("acme")
    headers = await identity.bearer("acme")
    await removed(identity, old)
    new = names.new_id()
    assert (await ensured(identity, "acme", new)).admin_ready
    assert (await identity.login("acme", password="a new password")).status_code == 200
    assert (await identity.login("acme")).status_code == 401
    assert (await identity.http.get("/api/v1/identity/users", headers=headers)).status_code == 401
    assert await identity.pool.fetchval("SELECT count(*) FROM identity.users WHERE tenant_id = $1", old) == 1
    assert (await ensured(identity, "acme", old)).admin_ready  # it comes back under its id, with its own users
    assert (await identity.login("acme")).status_code == 200


async def test_resource_changes_are_recorded_before_they_happen(identity, monkeypatch):
    platform = await identity.bearer(*PLATFORM)

    async def broken(_):
        raise RuntimeError("the store broke in the middle")

    monkeypatch.setattr(type(identity.store), "create", lambda self, manifest: broken(manifest))
    body = {"name": "initech", "spec": {"planRef": "team", "admin": {"email": "a@initech.example"}}}
    answer = await identity.http.post("/api/v1/identity/tenants", headers=platform, json=body)
    assert answer.status_code == 500
    row = await identity.pool.fetchrow("SELECT * FROM identity.audit WHERE action = 'tenant.create'")
    assert (row["target"], row["outcome"]) == ("tenant/initech", "failed: RuntimeError")


async def test_changes_of_a_tenant_are_in_its_own_audit_log(identity):
    await identity.tenant("acme")
    platform = {**await identity.bearer(*PLATFORM), "X-Request-Id": "request-1"}
    url = "/api/v1/identity/tenants/acme/quota"
    assert (await identity.http.patch(url, headers=platform, json={"users": 9})).status_code == 200
    seen = await identity.http.get("/api/v1/identity/audit", headers=await identity.bearer("acme"))
    row = next(item for item in seen.json()["items"] if item["action"] == "tenant.quota")
    assert (row["outcome"], row["request_id"], row["details"]) == ("done", "request-1", {"quota": {"users": 9}})


async def test_a_quota_survives_statuses_written_meanwhile(identity):
    await identity.tenant("acme")
    platform = await identity.bearer(*PLATFORM)

    async def busy():
        for number in range(20):
            status = TenantStatus(tenant_id=identity.tenants["acme"], observed_generation=number)
            await identity.store.update_status(Tenant, "acme", status)

    writing = asyncio.create_task(busy())
    url = "/api/v1/identity/tenants/acme/quota"
    answers = [await identity.http.patch(url, headers=platform, json={"users": 3 + number}) for number in range(3)]
    await writing
    assert [answer.status_code for answer in answers] == [200] * 3


async def test_the_process_starts_before_the_schema_and_says_so(postgres, tmp_path):
    admin = await asyncpg.connect(postgres.dsn)
    await admin.execute("DROP DATABASE IF EXISTS empty WITH (FORCE)")
    await admin.execute("CREATE DATABASE empty")
    dsn = postgres.dsn.replace("/postgres?", "/empty?")
    settings = ControlPlaneSettings(
        postgres_dsn=dsn, signing_key_file=tmp_path / "key.json", platform_admin_password=PASSWORD,
        http_port=0, grpc_port=0,
    )  # fmt: skip
    pool = await embedded_store.connect(dsn)
    store = embedded_store.PostgresResourceStore(pool)
    app = control_plane.build(settings, store, pool)
    assert "run `python -m voicehelper_control_plane migrate`" in await app.state.ready()
    stop = asyncio.Event()
    running = asyncio.create_task(control_plane.run(settings, store, stop))
    await migrate.migrate(dsn)
    await migrate.migrate(dsn)
    while await pool.fetchval("SELECT count(*) FROM identity.users") != 1:  # the first admin follows by itself
        assert not running.done()
        await asyncio.sleep(0.05)
    assert "first admin" in await app.state.ready()  # of this application, which has made none
    stop.set()
    await running
    await pool.close()
    await admin.execute("DROP DATABASE empty WITH (FORCE)")
    await admin.close()
