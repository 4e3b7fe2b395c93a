"""Tenants and cells as an API over the resource store; provisioning for the operator."""

from __future__ import annotations

import grpc
import pytest
from voicehelper_control_plane import app as control_plane
from voicehelper_control_plane.tests.conftest import PASSWORD, PLATFORM
from voicehelper_core import names
from voicehelper_core.gen.identity.v1 import identity_pb2, identity_pb2_grpc, provisioning_pb2, provisioning_pb2_grpc
from voicehelper_core.grpc_service import channel

pytestmark = pytest.mark.integration
TENANTS = "/api/v1/identity/tenants"
SPEC = {"planRef": "team", "admin": {"email": "admin@initech.example"}}


@pytest.fixture
async def calls(identity):
    server = control_plane.grpc_server(identity.app)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with channel(f"127.0.0.1:{port}") as connection:
        yield connection
    await server.stop(0)


async def test_a_platform_admin_creates_reads_and_deletes(identity):
    platform = await identity.bearer(*PLATFORM)
    made = await identity.http.post(TENANTS, headers=platform, json={"name": "initech", "spec": SPEC})
    assert made.status_code == 202
    assert made.json()["kind"] == "Tenant"
    again = await identity.http.post(TENANTS, headers=platform, json={"name": "initech", "spec": SPEC})
    assert again.status_code == 409
    found = (await identity.http.get(f"{TENANTS}/initech", headers=platform)).json()
    assert found["spec"]["planRef"] == "team"
    listed = (await identity.http.get(TENANTS, headers=platform)).json()
    assert [item["metadata"]["name"] for item in listed["items"]] == ["initech"]
    quota = await identity.http.patch(f"{TENANTS}/initech/quota", headers=platform, json={"documents": 7})
    assert quota.json()["spec"]["quota"]["documents"] == 7
    assert (await identity.http.delete(f"{TENANTS}/initech", headers=platform)).status_code == 202
    assert (await identity.http.get(f"{TENANTS}/initech", headers=platform)).status_code == 404


async def test_a_bad_tenant_is_refused_with_path_and_reason(identity):
    platform = await identity.bearer(*PLATFORM)
    for name, spec in (("in.itech", SPEC), ("n" * 70, SPEC), ("initech", {**SPEC, "colour": "red"}), ("initech", {})):
        answer = await identity.http.post(TENANTS, headers=platform, json={"name": name, "spec": spec})
        assert answer.status_code == 400, answer.text
        assert answer.json()["errors"][0]["path"]
    outcomes = (await identity.http.get("/api/v1/identity/audit", headers=platform)).json()["items"]
    assert sum(item["outcome"].startswith("refused") for item in outcomes) == 4


async def test_tenants_see_themselves_only(identity):
    await identity.tenant("acme")
    acme, platform = await identity.bearer("acme"), await identity.bearer(*PLATFORM)
    await identity.http.post(TENANTS, headers=platform, json={"name": "initech", "spec": SPEC})
    assert (await identity.http.get(TENANTS, headers=acme)).status_code == 403
    assert (await identity.http.get(f"{TENANTS}/initech", headers=acme)).status_code == 404
    assert (await identity.http.post(TENANTS, headers=acme, json={"name": "x", "spec": SPEC})).status_code == 403
    assert (await identity.http.delete(f"{TENANTS}/initech", headers=acme)).status_code == 403
    assert (await identity.http.get("/api/v1/identity/cells", headers=acme)).status_code == 403
    assert (await identity.http.get("/api/v1/identity/cells", headers=platform)).json() == {
        "items": [],
        "next_cursor": "",
    }


async def test_provisioning_makes_an_admin_once(identity, calls):
    stub = provisioning_pb2_grpc.ProvisioningServiceStub(calls)
    request = provisioning_pb2.EnsureTenantRequest(
        name="initech",
        tenant_id=names.new_id(),
        admin_email="admin@initech.example",
        admin_password=PASSWORD,
        max_users=3,
    )
    key = (("x-provisioning-key", "open sesame"),)
    first = await stub.EnsureTenant(request, metadata=key)
    assert (first.admin_ready, first.users) == (True, 1)
    assert (await identity.login("initech")).status_code == 200
    request.admin_password = "something else entirely"
    assert (await stub.EnsureTenant(request, metadata=key)).users == 1
    assert (await identity.login("initech")).status_code == 200
    token = await stub.IssueServiceToken(
        provisioning_pb2.IssueServiceTokenRequest(tenant="initech", tenant_id=request.tenant_id, scope="probe"),
        metadata=key,
    )
    assert token.access_token
    await stub.RemoveTenant(provisioning_pb2.RemoveTenantRequest(tenant_id=request.tenant_id), metadata=key)
    assert (await identity.login("initech")).status_code == 401


@pytest.mark.parametrize("key", [(), (("x-provisioning-key", "wrong"),), (("x-provisioning-key", ""),)])
async def test_provisioning_needs_the_key(calls, key):
    stub = provisioning_pb2_grpc.ProvisioningServiceStub(calls)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.RemoveTenant(provisioning_pb2.RemoveTenantRequest(tenant_id=names.new_id()), metadata=key)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_grpc_speaks_for_the_token_only(identity, calls):
    await identity.tenant("acme")
    await identity.tenant("globex")
    stub = identity_pb2_grpc.IdentityServiceStub(calls)
    login = identity_pb2.LoginRequest(tenant="acme", email="admin@acme.example", password=PASSWORD)
    pair = await stub.Login(login)
    claims = await stub.VerifyToken(identity_pb2.VerifyTokenRequest(access_token=pair.access_token))
    assert claims.tenant == "acme"
    mine = (("authorization", f"Bearer {pair.access_token}"),)
    me = await stub.GetUser(identity_pb2.GetUserRequest(user_id=claims.user_id), metadata=mine)
    assert me.email == "admin@acme.example"
    check = identity_pb2.CheckPermissionRequest(user_id=claims.user_id, resource="users", action="write")
    assert (await stub.CheckPermission(check, metadata=mine)).allowed
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.GetUser(identity_pb2.GetUserRequest(user_id=claims.user_id))
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.CreateTenant(identity_pb2.CreateTenantRequest(name="x", spec_json="{}"), metadata=mine)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
