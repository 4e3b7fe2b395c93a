"""Tokens that must not be taken for good, through the real Envoy."""

from __future__ import annotations

import base64
import hmac
import json
import time
import warnings
from typing import Any

import pytest
from joserfc import jwk, jws
from voicehelper_router.tests.harness import RouterUnderTest, problem

pytestmark = pytest.mark.integration


def segment(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def bad_tokens(router: RouterUnderTest) -> dict[str, str]:
    issuer, now = router.issuer, int(time.time())
    good = issuer.token("acme")
    header, payload, signature = good.split(".")
    claims = {"iss": "voicehelper", "aud": "voicehelper-api", "sub": "u", "tenant": "acme", "iat": now, "exp": now + 99}
    stranger = jwk.OKPKey.generate_key("Ed25519", {"kid": "ed"})
    public = json.dumps(issuer.rsa.as_dict(private=False)).encode()
    pem = issuer.rsa.as_pem(private=False)
    return {
        "expired": issuer.token("acme", iat=now - 900, exp=now - 60),
        "without expiry": issuer.token("acme", exp=None),
        "not yet": issuer.token("acme", nbf=now + 600),
        "forged payload": f"{header}.{segment({**claims, 'tenant': 'globex'})}.{signature}",
        "stranger's key": issuer.token("acme", key=stranger),
        "alg none": f"{segment({'alg': 'none'})}.{segment(claims)}.",
        "alg None with a signature": f"{segment({'alg': 'None'})}.{segment(claims)}.{signature}",
        "HS256 with the public key": hs256(public, claims),
        "HS256 with the public PEM": hs256(pem, claims),
        "wrong audience": issuer.token("acme", aud="other"),
        "wrong issuer": issuer.token("acme", iss="other"),
        "unknown kid": issuer.token("acme", kid="unknown"),
        "kid of another key": issuer.token("acme", kid="rs"),
        "own key in the header": own_key(router),
        "no signature": f"{header}.{payload}.",
        "garbage": "garbage",
    }


def hs256(key: bytes, claims: dict[str, Any]) -> str:
    signed = f"{segment({'alg': 'HS256', 'kid': 'rs'})}.{segment(claims)}"
    signature = hmac.digest(key, signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def own_key(router: RouterUnderTest) -> str:
    stranger = jwk.OKPKey.generate_key("Ed25519", {"kid": "mine"})
    now = int(time.time())
    claims = {"iss": "voicehelper", "aud": "voicehelper-api", "sub": "u", "tenant": "acme", "iat": now, "exp": now + 99}
    header = {
        "alg": "EdDSA", "kid": "mine", "jwk": stranger.as_dict(private=False),
        "jku": f"http://127.0.0.1:{router.a.port}/keys", "x5u": f"http://127.0.0.1:{router.a.port}/keys",
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return jws.serialize_compact(header, json.dumps(claims), stranger, algorithms=["EdDSA"])


async def test_bad_tokens(router: RouterUnderTest) -> None:
    before = router.a.requests
    for name, token in bad_tokens(router).items():
        response = await router.get(token=token)
        assert response.status_code == 401, f"{name}: {response.status_code} {response.text}"
        problem(response, 401, "unauthenticated")
    assert router.a.requests == before


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "Bearer  ", "Basic YTpi", "", "Bearer\tx", "Bearer a.b.c.d.e"])
async def test_authorization_that_is_no_token(router: RouterUnderTest, value: str) -> None:
    status, body = await router.raw("/api/v1/x", [("X-Tenant-ID", "acme"), ("Authorization", value)])
    assert status == 401, body


async def test_two_tokens(router: RouterUnderTest) -> None:
    """Whichever of them Envoy reads, the tenant that the cell is told is a verified one."""
    mine, other = (f"Bearer {router.issuer.token(name)}" for name in ("acme", "globex"))
    for tokens in ((mine, other), (other, mine)):
        headers = [("X-Tenant-ID", "acme"), *(("Authorization", token) for token in tokens)]
        status, body = await router.raw("/api/v1/x", headers)
        assert status in (401, 403) or ["x-token-tenant", "acme"] in json.loads(body)["headers"]


async def test_token_in_the_query_is_none(router: RouterUnderTest) -> None:
    problem(
        await router.get(f"/api/v1/x?access_token={router.issuer.token('acme')}", token=None), 401, "unauthenticated"
    )
