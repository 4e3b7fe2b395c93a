"""Users leave identity with their tenant's archive, and come back with it; nobody else's are touched."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from voicehelper_control_plane import app as control_plane
from voicehelper_control_plane.tests.conftest import PASSWORD, PLATFORM
from voicehelper_control_plane.tests.test_lifecycle import KEY, removed
from voicehelper_core.archive.manifest import RESTORING
from voicehelper_core.gen.identity.v1 import provisioning_pb2 as messages
from voicehelper_core.gen.identity.v1 import provisioning_pb2_grpc
from voicehelper_core.grpc_service import channel
from voicehelper_crds import Condition, Tenant

pytestmark = pytest.mark.integration


@asynccontextmanager
async def provisioning(identity: Any) -> AsyncIterator[Any]:
    server = control_plane.grpc_server(identity.app)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with channel(f"127.0.0.1:{port}") as connection:
        yield provisioning_pb2_grpc.ProvisioningServiceStub(connection)
    await server.stop(0)


async def exported(identity: Any, tenant_id: str, key: Any = KEY) -> list[Any]:
    async with provisioning(identity) as stub:
        call = stub.ExportUsers(messages.ExportUsersRequest(tenant_id=tenant_id), metadata=key)
        return [user async for user in call]


async def imported(identity: Any, name: str, tenant_id: str, users: list[Any], key: Any = KEY) -> dict[str, str]:
    async def requests() -> AsyncIterator[Any]:
        yield messages.ImportUsersRequest(tenant_id=tenant_id, tenant=name)
        for user in users:
            yield messages.ImportUsersRequest(tenant_id=tenant_id, tenant=name, user=user)

    async with provisioning(identity) as stub:
        return {user.id: user.new_id async for user in stub.ImportUsers(requests(), metadata=key)}


async def restoring(identity: Any, name: str) -> str:
    tenant_id: str = await identity.tenant(name)
    tenant = await identity.store.get(Tenant, name)
    document = tenant.model_dump(mode="json", by_alias=True, exclude_none=True)
    metadata = {"name": name, "annotations": {RESTORING: "0" * 64}}
    kept = {key: document[key] for key in ("apiVersion", "kind")}
    await identity.store.apply({**kept, "metadata": metadata, "spec": {**document["spec"], "suspended": True}})
    return tenant_id


async def test_they_log_in_as_before_under_another_tenant(identity):
    old, new = await identity.tenant("acme"), await restoring(identity, "acme-2")
    users = await exported(identity, old)
    renamed = await imported(identity, "acme-2", new, users)
    assert set(renamed) == {user.id for user in users}  # the old ones are there still
    assert await imported(identity, "acme-2", new, users) == renamed, "a second try gives the same"
    await identity.spec("acme-2", suspended=False)
    assert (await identity.login("acme-2", "admin@acme.example")).status_code == 200
    assert (await identity.login("acme-2", "admin@acme-2.example")).status_code == 401, "the archive has no such user"
    assert (await identity.login("acme")).status_code == 200


async def test_ids_stay_where_they_are_free(identity):
    old = await identity.tenant("acme")
    users = await exported(identity, old)
    await identity.pool.execute("DELETE FROM identity.tenants WHERE tenant_id = $1", old)
    new = await restoring(identity, "acme-2")
    assert await imported(identity, "acme-2", new, users) == {}
    assert [user.id for user in await exported(identity, new)] == [user.id for user in users]


async def test_a_tenant_that_is_not_being_restored_keeps_its_users(identity):
    tenant_id = await identity.tenant("acme")
    other = await restoring(identity, "acme-2")
    users = await exported(identity, tenant_id)
    for name, target in (("acme", tenant_id), ("acme-2", tenant_id), ("acme", other), ("nobody", tenant_id)):
        with pytest.raises(grpc.RpcError) as error:
            await imported(identity, name, target, [])
        assert error.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert await exported(identity, tenant_id) == users


async def test_no_key_no_users(identity):
    tenant_id = await restoring(identity, "acme")
    wrong = (("x-provisioning-key", "wrong"),)
    for call in (exported(identity, tenant_id, wrong), imported(identity, "acme", tenant_id, [], wrong)):
        with pytest.raises(grpc.RpcError) as error:
            await call
        assert error.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_an_archive_cannot_make_admins_of_the_platform(identity):
    tenant_id = await restoring(identity, "acme")
    (user,) = await exported(identity, tenant_id)
    user.roles.append("platform-admin")
    await imported(identity, "acme", tenant_id, [user])
    assert list((await exported(identity, tenant_id))[0].roles) == ["tenant-admin"]


@pytest.mark.parametrize("change", [{"id": "x"}, {"created_at": "yesterday"}, {"status": "odd"}])
async def test_users_that_cannot_be_are_refused_and_nothing_changes(identity, change):
    tenant_id = await restoring(identity, "acme")
    before = await exported(identity, tenant_id)
    wrong = messages.ArchivedUser()
    wrong.CopyFrom(before[0])
    for name, value in change.items():
        setattr(wrong, name, value)
    with pytest.raises(grpc.RpcError) as error:
        await imported(identity, "acme", tenant_id, [wrong])
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert await exported(identity, tenant_id) == before


@pytest.mark.parametrize(("archived", "kept"), [("True", 0), ("False", 1)])
async def test_users_go_once_the_archive_is_verified(identity, archived, kept):
    tenant_id = await identity.tenant("acme")
    await identity.spec("acme", deletion={"policy": "Archive"})
    await removed(identity, tenant_id)
    tenant = await identity.store.get(Tenant, "acme")
    condition = Condition(
        type="Archived", status=archived, reason="Verified", last_transition_time=datetime(2026, 1, 1, tzinfo=UTC)
    )
    await identity.store.set_finalizers(Tenant, "acme", ["test/keep"])
    await identity.store.update_status(Tenant, "acme", tenant.status.model_copy(update={"conditions": [condition]}))
    await removed(identity, tenant_id)
    assert len(await exported(identity, tenant_id)) == 1, "nobody asked for the tenant's end"
    await identity.store.delete(Tenant, "acme")
    await removed(identity, tenant_id)
    assert len(await exported(identity, tenant_id)) == kept


async def test_only_the_platforms_admins_export_and_import(identity):
    await identity.tenant("acme")
    member, admin = await identity.bearer("acme"), await identity.bearer(*PLATFORM)
    path = "/api/v1/identity/tenants"
    for headers, status in ((None, 401), (member, 403), (admin, 503)):  # this control plane knows no operator
        assert (await identity.http.get(f"{path}/acme/export", headers=headers)).status_code == status
        assert (await identity.http.post(f"{path}/import", headers=headers, content=b"x")).status_code == status
    assert (await identity.http.get(f"{path}/nobody/export", headers=admin)).status_code == 404
    rows = await identity.pool.fetch("SELECT action, outcome, details FROM identity.audit WHERE action LIKE 'tenant.%'")
    assert {row["action"] for row in rows} == {"tenant.export", "tenant.import"}
    assert all(row["outcome"].startswith("failed") for row in rows)
    assert PASSWORD not in json.dumps([dict(row) for row in rows], default=str)
