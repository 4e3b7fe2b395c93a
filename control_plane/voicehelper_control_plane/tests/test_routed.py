"""Identity through the router, on the whole platform."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx
import pytest
from joserfc.jwk import KeySet
from voicehelper_core import auth

pytestmark = pytest.mark.integration
IDENTITY = "/api/v1/identity"


@pytest.fixture
def public(platform) -> Iterator[httpx.Client]:
    """A client of nobody, without a tenant header."""
    with httpx.Client(base_url=platform.router, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
def admin(platform, public) -> httpx.Client:
    """The platform's admin."""
    public.headers["Authorization"] = f"Bearer {platform.token(None)}"
    return public


def conditions(resource: dict) -> dict[str, str]:
    return {item["type"]: item["status"] for item in resource["status"].get("conditions", [])}


def test_a_wrong_login_is_401(public):
    body = {"tenant": "acme", "email": "admin@acme.example", "password": "not the password"}
    for path in (f"{IDENTITY}/login", "/api/v1/auth/login"):
        answer = public.post(path, json=body)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"


def test_login_refresh_me_logout(platform, public):
    secret = _admin_secret(platform, "acme")
    pair = public.post("/api/v1/auth/login", json={"tenant": "acme", **secret}).json()
    assert pair["token_type"] == "Bearer"
    headers = {"Authorization": f"Bearer {pair['access_token']}", "X-Tenant-ID": "acme"}
    me = public.get(f"{IDENTITY}/me", headers=headers)
    assert (me.status_code, me.json()["email"], me.json()["roles"]) == (200, secret["email"], ["tenant-admin"])
    assert public.get(f"{IDENTITY}/me", headers={**headers, "X-Tenant-ID": "globex"}).status_code == 403
    fresh = public.post(f"{IDENTITY}/refresh", json={"refresh_token": pair["refresh_token"]})
    assert fresh.status_code == 200
    body = {"refresh_token": fresh.json()["refresh_token"]}
    assert public.post(f"{IDENTITY}/logout", json=body, headers=headers).status_code == 204
    assert public.post(f"{IDENTITY}/refresh", json=body).status_code == 401


def _admin_secret(platform, tenant: str) -> dict[str, str]:
    status = platform.resource("tenant", tenant)["status"]
    bundle = json.loads((platform.home / "secrets" / f"tenant-{status['tenantId']}-admin.json").read_text())
    return {"email": bundle["email"], "password": bundle["password"]}


def test_discovery_and_keys_are_served(public):
    discovery = public.get("/.well-known/openid-configuration").json()
    assert discovery["issuer"] == "voicehelper"
    assert discovery["jwks_uri"] == f"{public.base_url}/.well-known/jwks.json".replace("//.well", "/.well")
    keys = public.get("/.well-known/jwks.json").json()["keys"]
    assert [key["alg"] for key in keys] == ["EdDSA"]
    assert not any("d" in key for key in keys)


def test_tokens_are_those_that_the_keys_verify(platform, public):
    keys = KeySet.import_key_set(public.get("/.well-known/jwks.json").json())
    claims = auth.decode(platform.token("acme"), keys)
    assert (claims.tenant, claims.roles) == ("acme", ["tenant-admin"])
    assert claims.tid == platform.resource("tenant", "acme")["status"]["tenantId"]


def test_openapi_is_served(admin):
    paths = admin.get(f"{IDENTITY}/openapi.json").json()["paths"]
    assert {f"{IDENTITY}/login", f"{IDENTITY}/tenants/{{name}}", f"{IDENTITY}/users"} <= set(paths)


def test_everything_else_needs_a_token(public):
    for path in ("me", "users", "tenants", "cells", "audit"):
        assert public.get(f"{IDENTITY}/{path}").status_code == 401


def test_a_tenant_made_by_the_api_becomes_ready_and_goes(admin):
    spec = {"planRef": "team", "admin": {"email": "admin@initech.example"}, "deletion": {"policy": "Delete"}}
    made = admin.post(f"{IDENTITY}/tenants", json={"name": "initech", "spec": spec})
    assert made.status_code == 202, made.text
    deadline = time.monotonic() + 90
    tenant = made.json()
    while conditions(tenant).get("Ready") != "True":
        assert time.monotonic() < deadline, tenant
        time.sleep(0.2)
        tenant = admin.get(f"{IDENTITY}/tenants/initech").json()
    assert conditions(tenant)["IdentityReady"] == "True"
    assert admin.get(f"{IDENTITY}/cells/{tenant['status']['cell']}").json()["kind"] == "Cell"
    assert admin.delete(f"{IDENTITY}/tenants/initech").status_code == 202
    while admin.get(f"{IDENTITY}/tenants/initech").status_code != 404:
        assert time.monotonic() < deadline + 60
        time.sleep(0.2)
    rows = admin.get(f"{IDENTITY}/audit", params={"limit": 200}).json()["items"]
    of_initech = [row["action"] for row in rows if row["target"] == "tenant/initech"]
    assert of_initech[:4] == ["tenant.remove", "tenant.delete", "tenant.create", "tenant.create"]  # the newest first


def test_the_cells_are_listed_for_the_platform_only(platform, admin):
    cells = admin.get(f"{IDENTITY}/cells").json()["items"]
    assert {cell["metadata"]["name"] for cell in cells} >= {
        platform.resource("tenant", name)["status"]["cell"] for name in ("acme", "globex")
    }
    with platform.client("acme") as acme:
        assert acme.get(f"{IDENTITY}/cells").status_code == 403
        assert acme.get(f"{IDENTITY}/tenants/acme").status_code == 200
        assert acme.get(f"{IDENTITY}/tenants/globex").status_code == 404
