"""Which role may do what: every route of the API, for every kind of caller."""

from __future__ import annotations

import pytest
from voicehelper_control_plane.tests.conftest import PASSWORD, PLATFORM
from voicehelper_control_plane.tests.test_tenants import SPEC

pytestmark = pytest.mark.integration

#                                         nobody service member admin platform
MATRIX = {
    ("GET", "/me", None): (401, 403, 200, 200, 200),
    ("GET", "/users", None): (401, 403, 403, 200, 200),
    ("POST", "/users", "user"): (401, 403, 403, 201, 422),  # tenants' roles do not exist in the platform's own tenant
    ("GET", "/users/{other}", None): (401, 403, 403, 200, 200),
    ("PATCH", "/users/{other}", "name"): (401, 403, 403, 200, 200),
    ("PUT", "/users/{other}/role", "role"): (401, 403, 403, 200, 200),
    ("DELETE", "/users/{other}", None): (401, 403, 403, 204, 204),
    ("GET", "/users/{stranger}", None): (401, 403, 404, 404, 200),
    ("PATCH", "/users/{stranger}", "name"): (401, 403, 404, 404, 200),
    ("DELETE", "/users/{stranger}", None): (401, 403, 404, 404, 204),
    ("GET", "/tenants", None): (401, 403, 403, 403, 200),
    ("POST", "/tenants", "tenant"): (401, 403, 403, 403, 202),
    ("GET", "/tenants/acme", None): (401, 403, 403, 200, 200),
    ("GET", "/tenants/globex", None): (401, 403, 404, 404, 200),
    ("PATCH", "/tenants/acme/quota", "quota"): (401, 403, 403, 403, 200),
    ("GET", "/tenants/acme/export", None): (401, 403, 403, 403, 503),  # there is no operator here
    ("POST", "/tenants/import", None): (401, 403, 403, 403, 503),
    ("DELETE", "/tenants/acme", None): (401, 403, 403, 403, 202),
    ("GET", "/cells", None): (401, 403, 403, 403, 200),
    ("GET", "/cells/none", None): (401, 403, 403, 403, 404),
    ("GET", "/audit", None): (401, 403, 403, 200, 200),
}
CALLERS = ("nobody", "service", "member", "admin", "platform")
BODIES = {
    None: None,
    "user": {"email": "new@acme.example", "password": PASSWORD},
    "name": {"display_name": "Kim"},
    "role": {"role": "tenant-admin"},
    "tenant": {"name": "initech", "spec": SPEC},
    "quota": {"users": 5},
}


async def _callers(identity):
    acme = await identity.tenant("acme")
    await identity.tenant("globex")
    ids = {}
    for tenant, name in (("acme", "member"), ("acme", "other"), ("globex", "stranger")):
        body = {"email": f"{name}@{tenant}.example", "password": PASSWORD}
        made = await identity.http.post("/api/v1/identity/users", headers=await identity.bearer(tenant), json=body)
        ids[name] = made.json()["id"]
    probe, _ = identity.app.state.sessions.service_token("acme", acme, "probe")
    return ids, {
        "nobody": {},
        "service": {"Authorization": f"Bearer {probe}"},
        "member": await identity.bearer("acme", "member@acme.example"),
        "admin": await identity.bearer("acme"),
        "platform": await identity.bearer(*PLATFORM),
    }


async def test_every_route_for_every_caller(identity):
    ids, callers = await _callers(identity)
    for (method, path, body), expected in MATRIX.items():
        for caller, status in zip(CALLERS, expected, strict=True):
            if caller == "platform" and method == "DELETE":
                continue  # removed by the admin before, or needed by later rows: the next test
            url = "/api/v1/identity" + path.format(**ids)
            answer = await identity.http.request(method, url, headers=callers[caller], json=BODIES[body])
            assert answer.status_code == status, (method, path, caller, answer.status_code, answer.text)


async def test_a_platform_admin_may_remove_anybody(identity):
    ids, callers = await _callers(identity)
    for path in (f"/users/{ids['other']}", f"/users/{ids['stranger']}"):
        answer = await identity.http.delete(f"/api/v1/identity{path}", headers=callers["platform"])
        assert answer.status_code == 204
    answer = await identity.http.delete("/api/v1/identity/tenants/acme", headers=callers["platform"])
    assert answer.status_code == 202


async def test_the_matrix_knows_every_route(identity):
    open_to_all = {"/login", "/refresh", "/logout"}
    routes = {
        (method.upper(), path.removeprefix("/api/v1/identity"))
        for path, methods in identity.app.openapi()["paths"].items()
        for method in methods
        if path.startswith("/api/v1/identity/")
    }
    named = {
        (method, path.replace("{other}", "{user_id}").replace("{stranger}", "{user_id}")) for method, path, _ in MATRIX
    }
    named = {(method, path.replace("acme", "{name}").replace("globex", "{name}")) for method, path in named}
    named = {(method, path.replace("/cells/none", "/cells/{name}")) for method, path in named}
    assert {route for route in routes if route[1] not in open_to_all} == named
