"""What verification accepts, and every known way around it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, OKPKey, RSAKey
from voicehelper_core import auth
from voicehelper_core.errors import Unauthenticated, Unavailable

ED = OKPKey.generate_key("Ed25519", {"kid": "ed", "use": "sig", "alg": "EdDSA"}, private=True)
RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"}, private=True)
STRANGER = OKPKey.generate_key("Ed25519", {"kid": "ed"}, private=True)
PUBLIC = KeySet([OKPKey.import_key(ED.as_dict(private=False)), RSAKey.import_key(RSA.as_dict(private=False))])


def claims(**changes):
    now = int(time.time())
    made = {
        "iss": "voicehelper", "aud": "voicehelper-api", "sub": "u1", "tenant": "acme", "tid": "tabcdefghijk",
        "roles": ["member"], "scopes": [], "iat": now, "exp": now + 600, "jti": "j1",
    } | changes  # fmt: skip
    return {key: value for key, value in made.items() if value is not None}


def sign(body=None, *, key=ED, alg="EdDSA", kid="ed", **header):
    header = {"alg": alg, "kid": kid} | header
    return jwt.encode({k: v for k, v in header.items() if v is not None}, body or claims(), key, registry=Anything())


class Anything(type(auth.REGISTRY)):
    """Signs with whatever an attacker likes."""

    strict_check_header = False

    def __init__(self):
        super().__init__(strict_check_header=False)

    def get_alg(self, name):
        return self.algorithms[name]

    def check_header(self, header):
        """Anything goes."""


def encoded(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_good_tokens():
    assert auth.decode(sign(), PUBLIC).tid == "tabcdefghijk"
    assert auth.decode(sign(key=RSA, alg="RS256", kid="rsa"), PUBLIC).sub == "u1"
    assert auth.decode(sign(claims(tid=None, tenant="_public")), PUBLIC).tid is None
    assert auth.decode(sign(claims(aud=["other", "voicehelper-api"])), PUBLIC)


def hs256_with_the_public_key(key):
    signed = f"{encoded({'alg': 'HS256', 'kid': 'rsa'})}.{encoded(claims())}"
    return f"{signed}.{encoded(hmac.digest(key, signed.encode(), hashlib.sha256))}"


def tampered():
    header, _, signature = sign().split(".")
    return f"{header}.{encoded(claims(tenant='globex'))}.{signature}"


@pytest.mark.parametrize(
    "token",
    [
        f"{encoded({'alg': 'none', 'kid': 'ed'})}.{encoded(claims())}.",
        f"{encoded({'alg': 'None'})}.{encoded(claims())}.",
        f"{encoded({'alg': 'EdDSA', 'kid': 'ed'})}.{encoded(claims())}.",
        hs256_with_the_public_key(RSA.as_pem(private=False)),
        hs256_with_the_public_key(RSA.as_der(private=False)),
        sign(key=OctKey.import_key("secret" * 8), alg="HS256"),
        sign(key=STRANGER),
        sign(key=STRANGER, kid=None),
        sign(kid="unknown"),
        sign(kid="rsa"),
        sign(key=STRANGER, kid=None, jwk=STRANGER.as_dict(private=False)),
        sign(key=STRANGER, jku="https://attacker.example/jwks.json"),
        sign(key=RSA, alg="PS256", kid="rsa"),
        sign(crit=["kid", "x"], x=1),
        tampered(),
        sign(claims(iss="other")),
        sign(claims(iss=None)),
        sign(claims(aud="other")),
        sign(claims(aud=None)),
        sign(claims(exp=None)),
        sign(claims(exp="never")),
        sign(claims(sub="")),
        sign(claims(sub=None)),
        sign(claims(tenant=None)),
        sign(claims(roles="admin")),
        sign(claims(iat=int(time.time()) + 3600)),
        sign(claims(nbf=int(time.time()) + 3600)),
        "",
        "a.b.c",
        "....",
        sign() + "x",
        "ä.ö.ü",
        "\ud800",
        "x" * 100_000,
        sign(claims(roles=["r" * 9000])),
    ],
)
def test_bad_tokens(token):
    with pytest.raises(Unauthenticated) as refused:
        auth.decode(token, PUBLIC)
    assert "attacker" not in refused.value.detail


def test_an_expired_token_says_what_to_do():
    with pytest.raises(Unauthenticated, match="expired: log in"):
        auth.decode(sign(claims(exp=int(time.time()) - 60)), PUBLIC)


async def test_the_verifier_forgets_expired_tokens():
    verifier = auth.TokenVerifier(keys=PUBLIC)
    token = sign(claims(exp=int(time.time()) + 1))
    known = await verifier.verify(token)
    assert await verifier.verify(token) is known
    known.exp -= 3600
    assert await verifier.verify(token) is not known


async def test_without_keys_nobody_is_let_in(tmp_path):
    with pytest.raises(Unavailable):
        await auth.TokenVerifier().verify(sign())
    cache = tmp_path / "jwks.json"
    verifier = auth.TokenVerifier("http://127.0.0.1:1/jwks.json", cache_file=cache)
    with pytest.raises(Unavailable):
        await verifier.verify(sign())
    cache.write_text(json.dumps(PUBLIC.as_dict(private=False)))
    verifier = auth.TokenVerifier("http://127.0.0.1:1/jwks.json", cache_file=cache)
    assert (await verifier.verify(sign())).sub == "u1"


async def test_keys_of_a_function_are_followed():
    shown = PUBLIC
    verifier = auth.TokenVerifier(keys=lambda: shown)
    token = sign()
    known = await verifier.verify(token)
    assert await verifier.verify(token) is known
    shown = KeySet([RSAKey.import_key(RSA.as_dict(private=False))])
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)


async def test_all_who_come_with_a_new_key_at_once_are_let_in(monkeypatch):
    """One of them fetches the keys, and the others must not be told that nothing has changed."""
    published, fetches = [RSA], []

    def get(_):
        fetches.append(list(published))
        return json.dumps({"keys": [key.as_dict(private=False) for key in published]})

    monkeypatch.setattr(auth, "_get", get)
    monkeypatch.setattr(auth, "_MIN_REFRESH_SECONDS", 0.05)
    verifier = auth.TokenVerifier("http://identity/jwks.json")
    await verifier.verify(sign(key=RSA, alg="RS256", kid="rsa"))
    published.append(ED)
    await asyncio.sleep(0.1)
    tokens = [sign(claims(jti=str(number))) for number in range(20)]
    assert len(await asyncio.gather(*(verifier.verify(token) for token in tokens))) == 20
    assert len(fetches) == 2


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic abc", "token"])
def test_bearer_refuses(header):
    with pytest.raises(Unauthenticated):
        auth.bearer(header)


def test_bearer():
    assert auth.bearer("bearer  abc ") == "abc"
