"""Users, roles, permissions, audit: who may do what to whom."""

from __future__ import annotations

import uuid

import pytest
from voicehelper_control_plane.tests.conftest import PASSWORD, PLATFORM

pytestmark = pytest.mark.integration
USERS = "/api/v1/identity/users"


async def made(identity, headers, email, **extra):
    body = {"email": email, "password": PASSWORD, **extra}
    return await identity.http.post(USERS, json=body, headers=headers)


async def test_emails_are_unique_within_a_tenant_only(identity):
    await identity.tenant("acme")
    await identity.tenant("globex")
    acme, globex = await identity.bearer("acme"), await identity.bearer("globex")
    assert (await made(identity, acme, "sam@corp.example")).status_code == 201
    twice = await made(identity, acme, "SAM@corp.example")
    assert twice.status_code == 409
    assert "sam" in twice.json()["detail"].lower()
    assert (await made(identity, globex, "sam@corp.example")).status_code == 201


async def test_users_of_other_tenants_are_not_found(identity):
    await identity.tenant("acme")
    await identity.tenant("globex")
    acme, globex = await identity.bearer("acme"), await identity.bearer("globex")
    other = (await made(identity, globex, "sam@globex.example")).json()["id"]
    for method, path, body in (
        ("GET", other, None),
        ("PATCH", other, {"display_name": "x"}),
        ("PUT", f"{other}/role", {"role": "tenant-admin"}),
        ("DELETE", other, None),
    ):
        answer = await identity.http.request(method, f"{USERS}/{path}", headers=acme, json=body)
        assert answer.status_code == 404, (method, answer.text)
    assert (await identity.http.get(f"{USERS}/{other}", headers=globex)).status_code == 200


async def test_members_change_themselves_and_nobody_else(identity):
    await identity.tenant("acme")
    admin = await identity.bearer("acme")
    me = (await made(identity, admin, "sam@acme.example")).json()["id"]
    you = (await made(identity, admin, "kim@acme.example")).json()["id"]
    member = await identity.bearer("acme", "sam@acme.example")
    assert (await identity.http.get(USERS, headers=member)).status_code == 403
    assert (await made(identity, member, "new@acme.example")).status_code == 403
    own = await identity.http.patch(f"{USERS}/{me}", headers=member, json={"display_name": "Sam"})
    assert (own.status_code, own.json()["display_name"]) == (200, "Sam")
    assert (await identity.http.patch(f"{USERS}/{you}", headers=member, json={"display_name": "x"})).status_code == 403
    assert (await identity.http.get(f"{USERS}/{you}", headers=member)).status_code == 403
    assert (await identity.http.delete(f"{USERS}/{you}", headers=member)).status_code == 403
    assert (
        await identity.http.put(f"{USERS}/{me}/role", headers=member, json={"role": "tenant-admin"})
    ).status_code == 403


async def test_nobody_becomes_a_platform_admin_inside_a_tenant(identity):
    await identity.tenant("acme")
    admin = await identity.bearer("acme")
    answer = await made(identity, admin, "sam@acme.example", role="platform-admin")
    assert answer.status_code == 422
    user = (await made(identity, admin, "kim@acme.example")).json()["id"]
    answer = await identity.http.put(f"{USERS}/{user}/role", headers=admin, json={"role": "platform-admin"})
    assert answer.status_code == 422


async def test_the_quota_of_users_holds(identity):
    await identity.tenant("acme")
    admin = await identity.bearer("acme")
    answers = [await made(identity, admin, f"u{number}@acme.example") for number in range(5)]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 429, 429]


async def test_disabling_a_user_ends_its_sessions(identity):
    await identity.tenant("acme")
    admin = await identity.bearer("acme")
    user = (await made(identity, admin, "sam@acme.example")).json()["id"]
    refresh = (await identity.login("acme", "sam@acme.example")).json()["refresh_token"]
    disabled = await identity.http.patch(f"{USERS}/{user}", headers=admin, json={"status": "disabled"})
    assert disabled.json()["status"] == "disabled"
    assert (await identity.http.post("/api/v1/identity/refresh", json={"refresh_token": refresh})).status_code == 401
    assert (await identity.login("acme", "sam@acme.example")).status_code == 401


async def test_lists_have_cursors(identity):
    await identity.tenant("acme")
    admin = await identity.bearer("acme")
    for number in range(3):
        await made(identity, admin, f"u{number}@acme.example")
    seen, cursor = [], ""
    while True:
        page = (await identity.http.get(USERS, headers=admin, params={"limit": 2, "cursor": cursor})).json()
        seen += [item["email"] for item in page["items"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert seen == ["admin@acme.example", *(f"u{number}@acme.example" for number in range(3))]
    assert (await identity.http.get(USERS, headers=admin, params={"cursor": "garbage"})).status_code == 400
    assert (await identity.http.get(USERS, headers=admin, params={"limit": 0})).status_code == 400


async def test_every_change_leaves_a_row_without_secrets(identity):
    await identity.tenant("acme")
    admin = await identity.bearer("acme")
    user = (await made(identity, admin, "sam@acme.example")).json()["id"]
    await identity.http.patch(f"{USERS}/{user}", headers=admin, json={"password": "another long one"})
    await identity.http.put(f"{USERS}/{user}/role", headers=admin, json={"role": "tenant-admin"})
    await identity.http.delete(f"{USERS}/{user}", headers=admin)
    answer = await identity.http.get("/api/v1/identity/audit", headers=admin)
    actions = [item["action"] for item in answer.json()["items"]]
    assert actions == ["user.delete", "user.role", "user.update", "user.create", "login"]
    assert PASSWORD not in answer.text
    assert "another long one" not in answer.text
    platform = await identity.bearer(*PLATFORM)
    everything = (await identity.http.get("/api/v1/identity/audit", headers=platform)).json()["items"]
    assert len(everything) == 7
    assert everything[-1] | {"id": 0, "at": "", "target": ""} == {
        "id": 0, "at": "", "target": "", "actor": "settings", "tenant_id": "_public", "action": "user.create",
        "outcome": "done", "request_id": "", "details": {"role": "platform-admin"},
    }  # fmt: skip


async def test_ids_that_are_none_are_not_found(identity):
    await identity.tenant("acme")
    admin = await identity.bearer("acme")
    for wrong in ("x", "%2e%2e%2fme", str(uuid.uuid4()), "%00"):
        assert (await identity.http.get(f"{USERS}/{wrong}", headers=admin)).status_code == 404, wrong
