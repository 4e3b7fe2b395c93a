"""Requests that must not reach a cell, through the real Envoy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from voicehelper_router.tests.harness import RouterUnderTest, problem, received

pytestmark = pytest.mark.integration


async def test_own_tenant_is_served(router: RouterUnderTest) -> None:
    response = await router.get()
    assert (response.status_code, response.json()["server"]) == (200, "a")
    assert (await router.get(tenant="globex")).json()["server"] == "b"


async def test_rs256_is_served(router: RouterUnderTest) -> None:
    token = router.issuer.token("acme", key=router.issuer.rsa, alg="RS256", kid="rs")
    assert (await router.get(token=token)).status_code == 200


async def test_no_token(router: RouterUnderTest) -> None:
    body = problem(await router.get(token=None), 401, "unauthenticated")
    assert "/api/v1/identity/login" in body["detail"]


@pytest.mark.parametrize("tenant", ["nope", "_public", "__cell-aaaaaaaaaaaa", ""])
async def test_no_token_whatever_the_tenant(router: RouterUnderTest, tenant: str) -> None:
    problem(await router.get(tenant=tenant, token=None), 401, "unauthenticated")


async def test_header_missing(router: RouterUnderTest) -> None:
    body = problem(await router.get(tenant=None, token=router.issuer.token("acme")), 403, "permission-denied")
    assert "X-Tenant-ID" in body["detail"]


@pytest.mark.parametrize(
    "values",
    [
        ["globex"], ["acme", "globex"], ["globex", "acme"], ["acme", "acme"], ["acme,globex"], ["globex, acme"],
        ["acme,acme"], ["../acme"], ["acme/../globex"], ["%61cme"], ["..%2facme"], ["%252e%252e%252facme"], ["ACME"],
        ["acme."], [""], ["__cell-aaaaaaaaaaaa"], ["tenant:acme"], ["acme\tglobex"], ["a" * 300], ["\xe4cme"],
        ["_public"],
    ],
)  # fmt: skip
async def test_header_that_contradicts_the_token(router: RouterUnderTest, values: list[str]) -> None:
    before = router.a.requests + router.b.requests
    headers = [("X-Tenant-ID", value) for value in values]
    status, body = await router.raw("/api/v1/x", [*headers, ("Authorization", f"Bearer {router.issuer.token('acme')}")])
    assert status == 403, body
    assert b"permission-denied" in body
    assert router.a.requests + router.b.requests == before


@pytest.mark.parametrize("tenant", [None, ["acme"], {"name": "acme"}, True, "", "acme,acme", "acme\n"])
async def test_tenant_claim_of_another_kind(router: RouterUnderTest, tenant: Any) -> None:
    problem(await router.get(token=router.issuer.token(tenant)), 403, "permission-denied")


async def test_upper_case_and_lower_case_header_names(router: RouterUnderTest) -> None:
    token = f"Bearer {router.issuer.token('acme')}"
    for tenant, authorization in (("X-TENANT-ID", "AUTHORIZATION"), ("x-tenant-id", "authorization")):
        status, body = await router.raw("/api/v1/x", [(tenant, "acme"), (authorization, token)])
        assert status == 200, body
        status, body = await router.raw("/api/v1/x", [(tenant, "globex"), (authorization, token)])
        assert status == 403, body
    assert (
        await router.raw("/api/v1/x", [("X-TENANT-ID", "acme"), ("x-tenant-id", "globex"), ("authorization", token)])
    )[0] == 403


async def test_headers_that_claim_an_identity_do_not_arrive(router: RouterUnderTest) -> None:
    claimed = {
        "x-token-tenant": "globex", "x-user-id": "root", "x-tenant-role": "tenant-admin",
        "x-user-roles": "platform-admin", "x-caller": "conversation", "x-provisioning-key": "guess",
        "x-cell-id": "bbbbbbbbbbbb", "x-consumer-id": "1",
        "x-consumer-username": "root", "x-credential-identifier": "root", "x-userinfo": "e30=", "x-id-token": "a.b.c",
        "x-access-token": "a.b.c", "remote-user": "root", "x-auth-request-email": "root@example.com",
        "x-envoy-original-path": "/admin", "x-envoy-internal": "true", "x-envoy-external-address": "10.0.0.1",
        "x-envoy-upstream-rq-timeout-ms": "1", "x-envoy-retry-on": "5xx", "x-envoy-max-retries": "100",
        "x-envoy-decorator-operation": "x", "x-envoy-ip-tags": "trusted", "x-envoy-expected-rq-timeout-ms": "1",
        "x-forwarded-host": "evil.example", "x-forwarded-client-cert": "By=x", "x-forwarded-user": "root",
        "x-forwarded-prefix": "/x", "forwarded": "for=10.0.0.1", "x-real-ip": "10.0.0.1", "true-client-ip": "10.0.0.1",
        "x-original-url": "/admin", "x-rewrite-url": "/admin", "x-http-method-override": "DELETE",
        "X-ToKeN-TeNaNt": "globex",
    }  # fmt: skip
    response = await router.get(headers=list(claimed.items()))
    seen = received(response)
    assert response.status_code == 200
    assert seen["x-user-id"] == ["u1"]
    assert seen["x-token-tenant"] == ["acme"]
    assert seen["x-tenant-id"] == ["acme"]
    left = {name.lower() for name in claimed} & set(seen) - {"x-user-id", "x-token-tenant", "x-envoy-external-address"}
    assert not left
    assert {name for name in seen if name.startswith("x-envoy-")} <= {"x-envoy-external-address"}  # Envoy's own
    assert "10.0.0.1" not in str(seen)
    assert response.json()["method"] == "GET"


async def test_forged_token_tenant_does_not_help(router: RouterUnderTest) -> None:
    for name in ("x-token-tenant", "X-Token-Tenant"):
        response = await router.get(
            tenant="globex", token=router.issuer.token("acme"), headers=[(name, "globex"), (name, "acme")]
        )
        problem(response, 403, "permission-denied")
        no_claim = await router.get(tenant="globex", token=router.issuer.token(None), headers=[(name, "globex")])
        problem(no_claim, 403, "permission-denied")


async def test_forwarded_for_is_the_real_peer(router: RouterUnderTest) -> None:
    seen = received(await router.get(headers=[("x-forwarded-for", "10.0.0.1"), ("x-forwarded-proto", "https")]))
    assert len(seen["x-forwarded-for"]) == 1
    assert "10.0.0.1" not in seen["x-forwarded-for"][0]
    assert seen["x-forwarded-proto"] == ["http"]


async def test_open_paths_do_not_pass_identity_headers_on(router: RouterUnderTest) -> None:
    response = await router.get(
        "/api/v1/identity/login", token=None, method="POST", headers=[("x-user-id", "root"), ("x-token-tenant", "acme")]
    )
    assert response.json()["server"] == "identity"
    assert not {"x-user-id", "x-token-tenant"} & set(received(response))


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/identity/login/../../conversations", "/api/v1/identity/login/..//../conversations",
        "/.well-known/../api/v1/conversations", "//api/v1/conversations", "/./api/v1/conversations",
        "/healthz/../api/v1/conversations", "/.well-known/./../api//v1/conversations", "/api/v1/identity/login/x",
        "/api/v1/identity/login;/../../conversations", "/API/V1/identity/login", "/api/v1/identity/login%20",
        "/api/v1/identity/users", "/api/v1/auth/logout", "/api/v1/identity/%6cogin/../users",
    ],
)  # fmt: skip
async def test_paths_that_look_open(router: RouterUnderTest, path: str) -> None:
    before = router.a.requests
    status, body = await router.raw(path, [("X-Tenant-ID", "acme")])
    assert status == 401, body
    assert router.a.requests == before


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/..%2fapi/v1/conversations", "/api/v1%2fconversations", "/api/v1%5cconversations",
        "/.well-known%2F..%2Fapi", "/.well-known/%2e%2e%2fapi", "/api/v1/x#fragment",
    ],
)  # fmt: skip
async def test_escaped_slashes_are_refused(router: RouterUnderTest, path: str) -> None:
    status, _ = await router.raw(
        path, [("X-Tenant-ID", "acme"), ("Authorization", f"Bearer {router.issuer.token('acme')}")]
    )
    assert status == 400


async def test_double_encoding_stays_encoded(router: RouterUnderTest) -> None:
    """The path is decoded once by Envoy's rules; what is left is the cell's to refuse, never a way around the token."""
    status, _ = await router.raw("/.well-known/%252e%252e/api/v1/conversations", [("X-Tenant-ID", "acme")])
    assert status == 200  # identity's, and identity only
    assert (await router.raw("/api/v1/%252e%252e/x", [("X-Tenant-ID", "acme")]))[0] == 401


async def test_slashes_are_merged_and_dots_resolved_for_the_cell(router: RouterUnderTest) -> None:
    headers = [("X-Tenant-ID", "acme"), ("Authorization", f"Bearer {router.issuer.token('acme')}")]
    for path in ("//api//v1///x", "/api/./v1/x", "/api/v1/y/../x", "/api/v1/%79/%2e%2e/x"):
        _, body = await router.raw(path, headers)
        assert json.loads(body)["path"] == "/api/v1/x"


async def test_underscores_in_header_names_are_refused(router: RouterUnderTest) -> None:
    headers = [
        ("X-Tenant-ID", "acme"),
        ("X_Token_Tenant", "acme"),
        ("Authorization", f"Bearer {router.issuer.token('acme')}"),
    ]
    assert (await router.raw("/api/v1/x", headers))[0] == 400


async def test_smuggling_is_refused(router: RouterUnderTest) -> None:
    headers = [
        ("X-Tenant-ID", "acme"), ("Authorization", f"Bearer {router.issuer.token('acme')}"),
        ("content-length", "4"), ("transfer-encoding", "chunked"),
    ]  # fmt: skip
    assert (await router.raw("/api/v1/x", headers, method="POST"))[0] == 400


@pytest.mark.parametrize("coding", ["", "gzip", "identity, chunked"])
async def test_unknown_transfer_coding_is_the_callers_fault(router: RouterUnderTest, coding: str) -> None:
    headers = [("Authorization", f"Bearer {router.issuer.token('acme')}"), ("transfer-encoding", coding)]
    status, body = await router.raw("/api/v1/x", [("X-Tenant-ID", "acme"), *headers], method="POST")
    assert status == 400
    assert b"Transfer-Encoding" in body


async def test_many_headers_are_refused(router: RouterUnderTest) -> None:
    headers = [(f"x-{number}", "1") for number in range(200)]
    assert (await router.raw("/api/v1/x", headers))[0] == 431


async def test_administration_only_reads(router: RouterUnderTest) -> None:
    """And, on its socket, lets a router leave (test_leaving.py)."""
    assert router.admin is not None
    assert (await router.admin.get("/ready")).status_code == 200
    for path in (
        "/quitquitquit",
        "/healthcheck/fail",
        "/runtime_modify?a=b",
        "/logging?level=off",
        "/drain_listeners",
        "/drain_listeners?graceful",
    ):
        assert (await router.admin.post(path)).status_code == 403, path
