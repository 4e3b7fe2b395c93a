"""Login, refresh, logout, keys, discovery."""

from __future__ import annotations

import asyncio
import stat

import pytest
from voicehelper_control_plane.identity.keys import Signer
from voicehelper_control_plane.tests.conftest import PASSWORD, PLATFORM
from voicehelper_core import auth
from voicehelper_core.errors import Unauthenticated

pytestmark = pytest.mark.integration


async def test_login_gives_a_token_with_name_and_id_of_the_tenant(identity):
    tenant_id = await identity.tenant("acme")
    answer = await identity.login("acme")
    assert answer.status_code == 200
    claims = auth.decode(answer.json()["access_token"], identity.app.state.signer.keys())
    assert (claims.tenant, claims.tid, claims.roles) == ("acme", tenant_id, ["tenant-admin"])
    assert answer.json()["token_type"] == "Bearer"
    assert answer.json()["expires_in"] > 0


async def test_platform_tokens_have_no_tenant_id(identity):
    answer = await identity.login(*PLATFORM)
    claims = auth.decode(answer.json()["access_token"], identity.app.state.signer.keys())
    assert (claims.tenant, claims.tid, claims.roles) == ("_public", None, ["platform-admin"])


async def test_every_wrong_login_gets_the_same_answer(identity):
    await identity.tenant("acme")
    wrong = [
        await identity.login("acme", password="not this one"),
        await identity.login("acme", "nobody@acme.example"),
        await identity.login("nowhere", "admin@acme.example"),
        await identity.login("acme", "nul\0@acme.example"),
    ]
    assert {answer.status_code for answer in wrong} == {401}
    assert len({answer.json()["detail"] for answer in wrong}) == 1
    assert all(answer.headers["content-type"] == "application/problem+json" for answer in wrong)


async def test_the_alias_works_and_email_ignores_case(identity):
    await identity.tenant("acme")
    body = {"tenant": "acme", "email": "ADMIN@acme.example", "password": PASSWORD}
    assert (await identity.http.post("/api/v1/auth/login", json=body)).status_code == 200


async def test_many_failures_have_to_wait_without_locking_out_other_addresses(identity):
    await identity.tenant("acme")
    for _ in range(5):
        assert (await identity.login("acme", password="wrong password")).status_code == 401
    refused = await identity.login("acme")
    assert refused.status_code == 429
    body = {"tenant": "acme", "email": "admin@acme.example", "password": PASSWORD}
    elsewhere = await identity.http.post("/api/v1/identity/login", json=body, headers={"X-Forwarded-For": "192.0.2.7"})
    assert elsewhere.status_code == 200


async def test_a_refresh_token_is_good_once_and_its_reuse_ends_the_session(identity):
    await identity.tenant("acme")
    first = (await identity.login("acme")).json()["refresh_token"]
    second = await identity.http.post("/api/v1/identity/refresh", json={"refresh_token": first})
    assert second.status_code == 200
    stolen = await identity.http.post("/api/v1/identity/refresh", json={"refresh_token": first})
    assert stolen.status_code == 401
    ended = await identity.http.post("/api/v1/identity/refresh", json={"refresh_token": second.json()["refresh_token"]})
    assert ended.status_code == 401


async def test_concurrent_refreshes_give_one_pair(identity):
    await identity.tenant("acme")
    token = (await identity.login("acme")).json()["refresh_token"]
    answers = await asyncio.gather(
        *(identity.http.post("/api/v1/identity/refresh", json={"refresh_token": token}) for _ in range(5))
    )
    assert sorted(answer.status_code for answer in answers)[0] == 200
    assert [answer.status_code for answer in answers].count(200) == 1


async def test_logout_ends_the_session(identity):
    await identity.tenant("acme")
    token = (await identity.login("acme")).json()["refresh_token"]
    assert (await identity.http.post("/api/v1/identity/logout", json={"refresh_token": token})).status_code == 204
    assert (await identity.http.post("/api/v1/identity/refresh", json={"refresh_token": token})).status_code == 401
    assert (await identity.http.post("/api/v1/identity/logout", json={"refresh_token": token})).status_code == 204


async def test_keys_and_discovery(identity):
    keys = (await identity.http.get("/.well-known/jwks.json")).json()["keys"]
    assert [key["kty"] for key in keys] == ["OKP"]
    assert not any("d" in key for key in keys)
    discovery = (await identity.http.get("/.well-known/openid-configuration")).json()
    assert discovery["issuer"] == "voicehelper"
    assert discovery["jwks_uri"].endswith("/.well-known/jwks.json")


async def test_service_tokens_open_nothing_here(identity):
    tenant_id = await identity.tenant("acme")
    token, _ = identity.app.state.sessions.service_token("acme", tenant_id, "probe")
    answer = await identity.http.get("/api/v1/identity/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 403


def test_the_key_is_kept_and_private(tmp_path):
    file = tmp_path / "deep" / "key.json"
    first, second = Signer(file), Signer(file)
    assert first.public() == second.public()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    token, _ = first.sign(seconds=60, subject="u", tenant="acme", tenant_id="tabcdefghijk", roles=[], scopes=[])
    assert auth.decode(token, second.keys()).tid == "tabcdefghijk"
    with pytest.raises(Unauthenticated):
        auth.decode(token, Signer(tmp_path / "other.json").keys())
