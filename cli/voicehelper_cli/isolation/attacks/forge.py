"""Tokens that must not be believed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.jwk import OKPKey, RSAKey
from voicehelper_core.auth import AUDIENCE, ISSUER, REGISTRY

from voicehelper_cli.isolation.party import Party


def b64(data: bytes | dict[str, Any]) -> str:
    """base64url without padding, of bytes or of JSON."""
    raw = json.dumps(data).encode() if isinstance(data, dict) else data
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims(party: Party, user_id: str, **changed: Any) -> dict[str, Any]:
    """What a good token of a tenant's user says; a change to None removes a claim."""
    now = int(time.time())
    good: dict[str, Any] = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": user_id, "tenant": party.name, "tid": party.tenant_id,
        "roles": ["tenant-admin"], "scopes": [], "iat": now, "exp": now + 600, "jti": uuid.uuid4().hex,
    }  # fmt: skip
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def signed(header: dict[str, Any], body: dict[str, Any], key: Any) -> str:
    """A token with a real signature."""
    return jwt.encode(header, body, key, registry=REGISTRY)


def hs256(header: dict[str, Any], body: dict[str, Any], secret: bytes) -> str:
    """A token signed with a shared secret, which a public key must never be taken for."""
    content = f"{b64({'alg': 'HS256', 'typ': 'JWT', **header})}.{b64(body)}"
    return f"{content}.{b64(hmac.new(secret, content.encode(), hashlib.sha256).digest())}"


@dataclass(frozen=True, slots=True)
class Forged:
    """``guard`` is what refuses it; ``strict`` where the router alone has to."""

    name: str
    token: str
    guard: str


def unsigned(body: dict[str, Any], jwks: dict[str, Any], good: str, url: str) -> list[Forged]:
    """What anybody can forge who knows the public keys and has a good token of another tenant."""
    public = jwks["keys"][0]
    kid = public["kid"]
    pem = OKPKey.import_key(public).as_pem(private=False)
    raw = base64.urlsafe_b64decode(public["x"] + "==")
    mine, rsa = OKPKey.generate_key("Ed25519"), RSAKey.generate_key(2048)
    own = {**mine.as_dict(private=False), "kid": kid}
    head, _, signature = good.split(".")
    found = [
        Forged(f"alg {alg}", f"{b64({'alg': alg, 'typ': 'JWT', 'kid': kid})}.{b64(body)}.{tail}", "signature")
        for alg in ("none", "None", "NONE", "nOnE", "")
        for tail in ("", b64(b"x"))
    ]
    found += [
        Forged(f"HS256 signed with the public key as {name}", hs256({"kid": kid}, body, secret), "algorithm")
        for name, secret in (
            ("PEM", pem), ("bytes", raw), ("base64", public["x"].encode()), ("JSON", json.dumps(public).encode()),
            ("nothing", b""),
        )
    ]  # fmt: skip
    found += [
        Forged(f"own key, header {name}", signed({"alg": "EdDSA", **extra}, body, mine), "key")
        for name, extra in (
            ("with the platform's kid", {"kid": kid}),
            ("without kid", {}),
            ("with an unknown kid", {"kid": "x"}),
            ("with a path as kid", {"kid": "../../../../dev/null"}),
            ("with SQL as kid", {"kid": "' UNION SELECT 'x"}),
            ("with jwk", {"jwk": own, "kid": kid}),
            ("with jku", {"jku": f"{url}/jwks.json", "kid": kid}),
            ("with x5u", {"x5u": f"{url}/x5u.pem", "kid": kid}),
            ("with x5c", {"x5c": [base64.b64encode(pem).decode()], "kid": kid}),
        )
    ]
    found += [
        Forged("RS256 with an own key", signed({"alg": "RS256", "kid": kid}, body, rsa), "key"),
        Forged("a good token's signature under other claims", f"{head}.{b64(body)}.{signature}", "signature"),
        Forged("a good token's header, no signature", f"{head}.{b64(body)}.", "signature"),
        Forged("without a signature part", f"{head}.{b64(body)}", "signature"),
        Forged(
            "encrypted by its own word", f"{b64({'alg': 'dir', 'enc': 'A128GCM'})}..{b64(b'x')}.{b64(b'x')}.", "key"
        ),
    ]
    return found


def misused(party: Party, user_id: str, key: Any) -> list[Forged]:
    """What the platform's own key signed, for something else: the checks of claims stand alone here."""
    now = int(time.time())
    cases: list[tuple[str, str, dict[str, Any]]] = [
        ("of another issuer", "issuer", {"iss": "https://other.example"}),
        ("without an issuer", "issuer", {"iss": None}),
        ("for another audience", "audience", {"aud": "other-api"}),
        ("without an audience", "audience", {"aud": None}),
        ("that has expired", "expiry", {"iat": now - 7200, "exp": now - 3600}),
        ("without an end", "expiry", {"exp": None}),
        ("that is not valid yet", "not-before", {"nbf": now + 3600}),
    ]
    header = {"alg": "EdDSA", "kid": key.thumbprint()}
    return [Forged(name, signed(header, claims(party, user_id, **change), key), guard) for name, guard, change in cases]
