"""Tokens that identity did not sign, or not for this, open nothing."""

from __future__ import annotations

import base64
import json
import time
import uuid

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey
from voicehelper_core import signing_key_file
from voicehelper_core.auth import AUDIENCE, ISSUER, REGISTRY

pytestmark = pytest.mark.integration


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.fixture
async def admin(identity):
    """Claims that would open everything of acme, if they were signed."""
    tenant_id = await identity.tenant("acme")
    user_id = await identity.pool.fetchval("SELECT id FROM identity.users WHERE tenant_id = $1", tenant_id)
    now = int(time.time())
    return {
        "iss": ISSUER, "aud": AUDIENCE, "sub": str(user_id), "tenant": "acme", "tid": tenant_id,
        "roles": ["tenant-admin"], "scopes": [], "iat": now, "exp": now + 600, "jti": uuid.uuid4().hex,
    }  # fmt: skip


async def status(identity, token: str) -> int:
    answer = await identity.http.get("/api/v1/identity/users", headers={"Authorization": f"Bearer {token}".encode()})
    return answer.status_code


def signed(identity, claims: dict[str, object], **header: object) -> str:
    file = identity.app.state.settings.signing_key_file
    key = signing_key_file.read(file).signer(time.time())
    return jwt.encode({"alg": "EdDSA", "kid": key.kid, **header}, claims, key.private, registry=REGISTRY)


async def test_the_claims_are_good_when_identity_signs_them(identity, admin):
    assert await status(identity, signed(identity, admin)) == 200


async def test_alg_none_is_refused(identity, admin):
    for alg in ("none", "None", "NONE", ""):
        for signature in ("", "x"):
            token = f"{part({'alg': alg, 'typ': 'JWT'})}.{part(admin)}.{signature}"
            assert await status(identity, token) == 401, (alg, signature)


async def test_the_public_key_is_no_shared_secret(identity, admin):
    public = identity.app.state.signer.public()["keys"][0]
    for secret in (json.dumps(public).encode(), public["x"].encode(), base64.urlsafe_b64decode(public["x"] + "=")):
        key = OctKey.import_key(secret)
        token = jwt.encode({"alg": "HS256", "kid": public["kid"]}, admin, key, algorithms=["HS256"])
        assert await status(identity, token) == 401


async def test_other_keys_are_refused_whatever_the_header_says(identity, admin):
    public = identity.app.state.signer.public()["keys"][0]
    mine = OKPKey.generate_key("Ed25519", private=True)
    headers = (
        {"kid": public["kid"]},
        {"kid": "unknown"},
        {},
        {"kid": public["kid"], "jwk": mine.as_dict(private=False)},
        {"kid": public["kid"], "jku": "https://evil.example/jwks.json"},
    )
    for header in headers:
        token = jwt.encode({"alg": "EdDSA", **header}, admin, mine, registry=REGISTRY)
        assert await status(identity, token) == 401, header


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "other-api"},
        {"aud": None},
        {"iss": "someone"},
        {"iss": None},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"exp": "soon"},
        {"sub": ""},
        {"sub": None},
        {"tenant": 7},
        {"roles": "tenant-admin"},
    ],
    ids=str,
)
async def test_wrong_claims_are_refused(identity, admin, change):
    claims = {key: value for key, value in {**admin, **change}.items() if value is not None}
    assert await status(identity, signed(identity, claims)) == 401


async def test_a_changed_token_is_refused(identity, admin):
    header, _, signature = signed(identity, admin).split(".")
    other = part({**admin, "roles": ["platform-admin"], "tenant": "_public"})
    assert await status(identity, f"{header}.{other}.{signature}") == 401
    for token in ("x", "a.b.c", "..", "é", f"{header}.{part(admin)}", "x" * 10_000):
        assert await status(identity, token) == 401, token[:20]


async def test_a_token_of_another_tenant_id_finds_no_user(identity, admin):
    other = await identity.tenant("globex")
    assert await status(identity, signed(identity, {**admin, "tid": other})) == 401
    assert await status(identity, signed(identity, {**admin, "tid": None, "tenant": "_public"})) == 401


async def test_roles_that_the_user_does_not_have_do_not_count(identity, admin):
    claims = {**admin, "roles": ["platform-admin", "tenant-admin"]}
    token = signed(identity, claims)
    assert await status(identity, token) == 200
    answer = await identity.http.get("/api/v1/identity/tenants", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 403
    await identity.pool.execute("UPDATE identity.user_roles SET role = 'member'")
    assert await status(identity, token) == 403
    await identity.pool.execute("UPDATE identity.users SET status = 'disabled'")
    assert await status(identity, token) == 401


async def test_headers_that_are_no_bearer(identity):
    for header in ("", "Bearer", "Bearer ", "Basic eDp5", "token"):
        answer = await identity.http.get("/api/v1/identity/me", headers={"Authorization": header})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert (await identity.http.get("/api/v1/identity/me")).status_code == 401
