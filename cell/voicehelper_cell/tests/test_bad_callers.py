"""Wrong tokens, headers, ids, queries and methods through the router: 4xx, and nothing of another tenant."""

from __future__ import annotations

import base64
import http.client
import json
import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey
from voicehelper_cell.tests.attacker import CONVERSATIONS, DOCUMENTS, SEARCH, USAGE, Attacker
from voicehelper_core import signing_key_file
from voicehelper_core.auth import REGISTRY

pytestmark = pytest.mark.integration
GARBAGE = (
    "%00", "..", "../", "..%2f..%2f", "%2e%2e%2f", "%252e%252e", "a,b", "*", "null", "0", "-1", "' or 1=1 --", "%ff%fe",
    "%ed%a0%80", "😀", "a" * 2000, "00000000-0000-0000-0000-000000000000", "{}", "..;/", "%0d%0aX-A:%20b",
)  # fmt: skip
EVERYTHING = [
    ("GET", CONVERSATIONS),
    ("POST", CONVERSATIONS),
    ("GET", DOCUMENTS),
    ("POST", DOCUMENTS),
    ("POST", SEARCH),
    ("GET", USAGE),
    ("GET", "/api/v1/probe"),
]
Sign = Callable[..., str]


def _part(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


@pytest.fixture(scope="module")
def sign(platform: Any) -> Sign:
    """Tokens like acme's own, changed here and there, signed by identity's key or by another."""
    key = signing_key_file.read(platform.home / "secrets" / "signing-key.json").signer(time.time()).private
    own = platform.token("acme")
    head, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in own.split(".")[:2])

    def make(*, by: Any = None, header: dict[str, Any] | None = None, **changed: Any) -> str:
        now = int(time.time())
        body = {**claims, "iat": now, "exp": now + 600, **changed}
        body = {name: value for name, value in body.items() if value is not ...}
        return jwt.encode({**head, **(header or {})}, body, by or key, registry=REGISTRY)

    return make


def test_a_token_that_is_made_right_is_served(attacker: Attacker, sign: Sign) -> None:
    """Or the refusals below would say nothing."""
    answer = attacker.send("GET", CONVERSATIONS, headers={"Authorization": f"Bearer {sign(jti=uuid.uuid4().hex)}"})
    assert answer.status_code == 200, answer.text


def _tokens(sign: Sign) -> dict[str, str]:
    now, other = int(time.time()), OKPKey.generate_key("Ed25519")
    good = sign()
    head, body, signature = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    return {
        "expired": sign(exp=now - 60, iat=now - 960),
        "no expiry": sign(exp=...),
        "another audience": sign(aud="somebody-else"),
        "no audience": sign(aud=...),
        "another issuer": sign(iss="https://evil.example"),
        "another key": sign(by=other),
        "a key that nobody knows": sign(by=other, header={"kid": "unknown"}),
        "a key of its own": sign(by=other, header={"kid": "x", "jwk": other.as_dict(private=False)}),
        "alg none": f"{_part({'alg': 'none', 'typ': 'JWT'})}.{body}.",
        "alg none with a signature": f"{_part({'alg': 'none'})}.{body}.{signature}",
        "alg HS256": f"{_part({'alg': 'HS256', 'kid': 'x'})}.{body}.{signature}",
        "other claims": f"{head}.{_part({**claims, 'tenant': 'globex'})}.{signature}",
        "no signature": f"{head}.{body}.",
        "cut": good[:-10],
        "two parts": f"{head}.{body}",
        "five parts": f"{good}.x.y",
        "no JSON": f"{head}.e30x.{signature}",
        "nonsense": "nonsense",
        "too long": "x" * 20_000,
    }


KINDS = (
    "expired", "no expiry", "another audience", "no audience", "another issuer", "another key",
    "a key that nobody knows", "a key of its own", "alg none", "alg none with a signature", "alg HS256", "other claims",
    "no signature", "cut", "two parts", "five parts", "no JSON", "nonsense", "too long",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_tokens(attacker: Attacker, sign: Sign, kind: str) -> None:
    token = _tokens(sign)[kind]
    for method, path in EVERYTHING:
        answer = attacker.send(method, path, headers={"Authorization": f"Bearer {token}"})
        attacker.refused(answer, 401, 403)
    assert answer.status_code == 401


@pytest.mark.parametrize("value", ["", "Bearer", "Basic YWNtZTpwdw==", "bearer: x", "Token x", "Bearer a b"])
def test_other_authorization(attacker: Attacker, value: str) -> None:
    attacker.refused(attacker.send("GET", CONVERSATIONS, headers={"Authorization": value}), 401)


@pytest.mark.parametrize(
    "changed",
    [{"tid": ...}, {"tid": "tother000001"}, {"tid": "../acme"}, {"sub": ...}, {"sub": ""}, {"roles": "x"}, {"tid": 5}],
    ids=str,
)
def test_claims_that_fit_no_tenant(attacker: Attacker, sign: Sign, changed: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {sign(**changed)}"}
    attacker.refused(attacker.send("GET", CONVERSATIONS, headers=headers), 401, 403)


def test_a_token_in_the_address_is_not_taken(attacker: Attacker, sign: Sign) -> None:
    address = f"{attacker.client.base_url}{CONVERSATIONS}"
    for query in ({"access_token": sign()}, {"token": sign()}):
        answer = httpx.get(address, params=query, headers={"X-Tenant-ID": "acme"}, trust_env=False)
        attacker.refused(answer, 401)


@pytest.mark.parametrize("method_path", EVERYTHING[:-1], ids=str)
def test_a_service_token_opens_the_probe_and_nothing_else(
    attacker: Attacker,
    sign: Sign,
    method_path: tuple[str, str],
) -> None:
    headers = {"Authorization": f"Bearer {sign(roles=['service'], scopes=['probe'])}"}
    attacker.refused(attacker.send(*method_path, headers=headers), 403)
    assert attacker.send("GET", "/api/v1/probe", headers=headers).json()["tenant_id"]
    attacker.refused(attacker.send("GET", "/api/v1/probe"), 403)


def _raw(attacker: Attacker, method: str, target: str, headers: list[tuple[str, str]]) -> tuple[int, bytes]:
    """A request byte by byte, as no well-behaved client sends it."""
    at = urlsplit(str(attacker.client.base_url))
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=30)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value.encode("latin-1"))
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


TENANTS: list[list[str]] = [
    [], [""], ["globex"], ["acme", "globex"], ["globex", "acme"], ["acme", "acme"], ["acme,globex"], ["acme, acme"],
    ["../acme"], ["acme/../globex"], ["%61cme"], ["%2e%2e%2fglobex"], ["ACME"], ["acme."], ["acme\tglobex"],
    ["_public"], ["a" * 70], ["a" * 9000], ["\xe4cme"], ["acme;globex"], ["*"], ["acme globex"],
]  # fmt: skip


@pytest.mark.parametrize("values", TENANTS, ids=range(len(TENANTS)))
def test_tenant_headers(attacker: Attacker, values: list[str]) -> None:
    bearer = ("Authorization", attacker.client.headers["authorization"])
    for _, path in EVERYTHING[:3]:
        status, body = _raw(attacker, "GET", path, [*(("X-Tenant-ID", value) for value in values), bearer])
        assert 400 <= status < 500, (status, body)
        assert attacker.secret.encode() not in body


def test_headers_that_claim_an_identity_change_nothing(attacker: Attacker) -> None:
    claimed = {"X-User-ID": "root", "X-Caller": "conversation", "X-Token-Tenant": "globex", "X-Tenant": "globex"}
    answer = attacker.send("GET", CONVERSATIONS, headers=claimed)
    assert answer.status_code == 200
    attacker.clean(answer)


@pytest.mark.parametrize("garbage", GARBAGE)
def test_ids(attacker: Attacker, garbage: str) -> None:
    for method, path in (
        ("GET", f"{CONVERSATIONS}/{garbage}"),
        ("GET", f"{CONVERSATIONS}/{garbage}/messages"),
        ("POST", f"{CONVERSATIONS}/{garbage}/messages"),
        ("GET", f"{CONVERSATIONS}/{attacker.conversation}/messages/{garbage}/events"),
        ("GET", f"{DOCUMENTS}/{garbage}/content"),
        ("DELETE", f"{DOCUMENTS}/{garbage}"),
    ):
        target = path if garbage.isascii() and " " not in garbage else quote(path)
        more = [("X-Tenant-ID", "acme"), ("Authorization", attacker.client.headers["authorization"])]
        status, body = _raw(attacker, method, target, [*more, ("Content-Length", "0")])
        assert status < 500, (method, target, status, body)
        assert status >= 400 or ".." in garbage or "%2e" in garbage, (method, target, status, body)
        assert attacker.secret.encode() not in body


def test_ids_of_another_tenant_name_nothing(attacker: Attacker) -> None:
    theirs = f"{CONVERSATIONS}/{attacker.conversation}"
    for method, path in (
        ("GET", theirs),
        ("GET", f"{theirs}/messages"),
        ("GET", f"{theirs}/messages/{attacker.message}/events"),
        ("GET", f"{DOCUMENTS}/{attacker.document}"),
        ("GET", f"{DOCUMENTS}/{attacker.document}/content"),
        ("DELETE", f"{DOCUMENTS}/{attacker.document}"),
    ):
        attacker.refused(attacker.send(method, path), 404)
    attacker.refused(attacker.send("POST", f"{theirs}/messages", json={"content": attacker.secret}), 404)
    assert attacker.send("POST", SEARCH, json={"query": attacker.secret, "mode": "bm25"}).json() == {"hits": []}


QUERIES: list[dict[str, str]] = [
    {"limit": "0"}, {"limit": "-1"}, {"limit": "1e9"}, {"limit": "9" * 400}, {"limit": "ten"}, {"limit": ""},
    {"limit": "1001"}, {"cursor": "nonsense"}, {"cursor": "x" * 501}, {"cursor": "W10"}, {"cursor": "\0"},
    {"cursor": "WyIxIiwiMiJd"}, {"cursor": "../"}, {"cursor": "%ed%a0%80"}, {"cursor": "😀"}, {"cursor": "bnVsbA"},
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_lists(attacker: Attacker, query: dict[str, str]) -> None:
    made = attacker.send("POST", CONVERSATIONS, json={}).json()
    for path in (CONVERSATIONS, f"{CONVERSATIONS}/{made['id']}/messages", DOCUMENTS, USAGE):
        attacker.refused(attacker.send("GET", path, params=query), 400, 422)


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "9" * 29, "9" * 400, "0x1", "²", "\xff", "1,2"])
def test_last_event_ids(attacker: Attacker, value: str) -> None:
    made = attacker.send("POST", CONVERSATIONS, json={}).json()
    messages = f"{CONVERSATIONS}/{made['id']}/messages"
    answer = attacker.send("POST", messages, json={"content": "What is a cell?"}).json()
    path = f"{messages}/{answer['id']}/events"
    attacker.refused(attacker.send("GET", path, headers=[("Last-Event-ID", value.encode("latin-1", "replace"))]), 400)


@pytest.mark.parametrize("key", ["x" * 201, "a" * 5000])
def test_idempotency_keys(attacker: Attacker, key: str) -> None:
    for path, body in ((CONVERSATIONS, {}), (DOCUMENTS, {"title": "x", "content": "x"})):
        answer = attacker.send("POST", path, json=body, headers={"Idempotency-Key": key})
        attacker.refused(answer, 400, 422)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "TRACE", "FOO", "HEAD"])
@pytest.mark.parametrize("path", [CONVERSATIONS, SEARCH, USAGE, "/api/v1/nothing", "/", "/api/v1/openapi.json/x"])
def test_methods(attacker: Attacker, method: str, path: str) -> None:
    answer = attacker.send(method, path)
    assert answer.status_code < 500, answer.text
    attacker.clean(answer)
    assert answer.status_code >= 400, answer.text


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/readyz", "/docs", "/api/v1/../../metrics", "/api/v1/conversations/../../../metrics"],
)
def test_what_is_for_operators_is_not_served_to_tenants(attacker: Attacker, path: str) -> None:
    more = [("X-Tenant-ID", "acme"), ("Authorization", attacker.client.headers["authorization"])]
    status, body = _raw(attacker, "GET", path, more)
    assert 400 <= status < 500, (status, body[:300])
