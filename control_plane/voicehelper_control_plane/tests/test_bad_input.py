"""Whatever is sent, the answer is a success or a problem that names the sender's mistake; never a failure of ours."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from voicehelper_control_plane import pagination
from voicehelper_control_plane.body_limit import MAX_BODY
from voicehelper_control_plane.tests.conftest import PASSWORD, PLATFORM

pytestmark = pytest.mark.integration
PREFIX = "/api/v1/identity"

TEXT = st.text(st.characters(), max_size=20) | st.sampled_from(["\0", "\ud800", "acme", "x" * 300, "a@b.example", "é"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)
FIELDS = (
    "tenant", "email", "password", "refresh_token", "display_name", "status", "role", "name", "spec", "labels", "users",
    "documents", "apiVersion", "kind", "metadata", "unknown",
)  # fmt: skip
LIKELY = {
    "tenant": st.sampled_from(["acme", "_public"]),
    "email": st.just("admin@acme.example"),
    "password": st.just(PASSWORD),
    "spec": st.fixed_dictionaries(
        {"planRef": st.just("team") | TEXT, "admin": st.fixed_dictionaries({"email": st.just("a@b.example") | TEXT})},
        optional={"displayName": TEXT, "quota": st.dictionaries(st.just("users"), SCALARS), "suspended": SCALARS},
    ),
    "metadata": st.fixed_dictionaries({"name": TEXT}, optional={"labels": st.dictionaries(TEXT, TEXT, max_size=2)}),
    "role": st.sampled_from(["member", "tenant-admin", "platform-admin", "service"]),
}
BODIES = st.fixed_dictionaries({}, optional={field: LIKELY.get(field, JSON) | JSON for field in FIELDS}) | JSON


def _cursor(key: list[str]) -> str:
    try:
        return pagination.encode(*key)
    except UnicodeEncodeError:
        return "?"


CURSORS = TEXT | st.lists(TEXT | st.just("2026-01-01T00:00:00"), max_size=3).map(_cursor)


def _operations(app) -> list[tuple[str, str]]:
    return [(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_no_request_makes_the_server_fail(identity, data):
    if "acme" not in identity.tenants:
        await identity.tenant("acme")
        identity.callers = [await identity.bearer(*PLATFORM), await identity.bearer("acme"), {}]
        me = await identity.http.get(f"{PREFIX}/me", headers=identity.callers[1])
        identity.known = [me.json()["id"], "acme"]
    identity.app.state.sessions.limiter._failed.clear()
    method, path = data.draw(st.sampled_from(_operations(identity.app)))
    for parameter in ("{user_id}", "{name}"):
        value = data.draw(st.sampled_from(identity.known) | TEXT.map(lambda text: text.encode("utf-8", "replace")))
        path = path.replace(parameter, quote(value, safe=""))
    query = {"limit": data.draw(SCALARS), "cursor": data.draw(CURSORS)} if method == "GET" else {}
    answer = await identity.http.request(
        method,
        path,
        headers={**data.draw(st.sampled_from(identity.callers)), "Content-Type": "application/json"},
        params={key: str(value).encode("utf-8", "replace") for key, value in query.items() if value is not None},
        content=json.dumps(data.draw(BODIES)).encode() if method != "GET" else b"",
    )
    away = answer.status_code == 503 and path.endswith(("/import", "/export"))  # there is no operator here
    assert answer.status_code < 500 or away, (method, path, answer.status_code, answer.text)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b'{"tenant": "\xff"}', b"[" * 100_000, b"null", b"[]", b'"text"', b'{"tenant": NaN}'],
    ids=["empty", "cut", "not-utf-8", "not-utf-8-inside", "deep", "null", "list", "string", "nan"],
)
async def test_broken_bodies_are_the_senders_mistake(identity, body):
    answer = await identity.http.post(f"{PREFIX}/login", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text


async def test_long_bodies_are_refused_without_reading_them_into_memory(identity):
    async def endless():
        for _ in range(20):
            yield b" " * MAX_BODY

    for content in (b" " * (MAX_BODY + 1), endless()):
        answer = await identity.http.post(f"{PREFIX}/login", content=content)
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "change",
    [
        {"password": "x" * 257},
        {"password": "short"},
        {"password": "\ud800" * 12},
        {"email": "sam\0@acme.example"},
        {"email": "sam"},
        {"email": f"{'x' * 260}@acme.example"},
        {"display_name": "\0"},
        {"display_name": 7},
        {"role": "service"},
        {"unknown": 1},
    ],
)
async def test_bad_users_are_refused(identity, change):
    await identity.tenant("acme")
    admin = {**await identity.bearer("acme"), "Content-Type": "application/json"}
    body = {"email": "sam@acme.example", "password": PASSWORD, **change}
    answer = await identity.http.post(f"{PREFIX}/users", headers=admin, content=json.dumps(body).encode())
    assert answer.status_code == 400, answer.text


async def test_cursors_of_nobody_are_refused(identity):
    await identity.tenant("acme")
    admin = await identity.bearer("acme")
    me = identity.tenants["acme"]
    for key in (["2026-01-01T00:00:00", "4a7ac2ad-6a5c-4c0c-9bd6-0d8fe4b8e0a1"], ["now", me], ["x"]):
        answer = await identity.http.get(
            f"{PREFIX}/users", headers=admin, params={"cursor": pagination.encode(*key), "limit": 1}
        )
        assert answer.status_code == 400, answer.text
