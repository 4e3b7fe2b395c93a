"""Forged, misused and confused tokens, at the router, at the cell behind it and at identity."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import httpx
from voicehelper_core.signing_keys import KeyRing

from voicehelper_cli.isolation.arena import Arena
from voicehelper_cli.isolation.attack import Recorder, attack
from voicehelper_cli.isolation.attacks import forge, wire
from voicehelper_cli.isolation.model import FORGER, NEIGHBOUR, NOBODY
from voicehelper_cli.isolation.plant import CONVERSATIONS

_PARALLEL = 8
_ME = "/api/v1/identity/me"
_NO_KEY = "this user may not read the platform's signing key: run as the user that ran `voicehelper up`"


@dataclass(frozen=True, slots=True)
class _Door:
    """Somewhere that a token is shown."""

    name: str
    url: str
    path: str
    direct: bool


def _doors(arena: Arena) -> list[_Door]:
    chats = f"{CONVERSATIONS}?limit=100"
    return [
        _Door("router", arena.places.router_url, chats, False),
        _Door("cell", f"http://{arena.victim.cell_http}", chats, True),
        _Door("identity", arena.places.identity_url, _ME, True),
    ]


async def _show(door: _Door, token: str, tenant: str) -> wire.Answer:
    headers = [("X-Tenant-ID", tenant), ("Connection", "close")]
    if token:
        headers.append(("Authorization", f"Bearer {token}"))
    return await wire.exchange(door.url, wire.request("GET", door.path, headers))


async def _refused(arena: Arena, tried: Recorder, forged: Iterable[forge.Forged], doors: Iterable[_Door]) -> None:
    gate, tenant = asyncio.Semaphore(_PARALLEL), arena.victim.name

    async def one(item: forge.Forged, door: _Door) -> None:
        async with gate:
            answer = await _show(door, item.token, tenant)
        what, finding = f"token {item.name}, shown to the {door.name}", f"{door.name}.token.{item.guard}"
        if answer.status == 401 and not door.direct and not answer.from_router:
            reason = "the router let it through; only the service behind it refused it"
            tried.weakened(what, answer.text, by=FORGER, finding=finding, reason=reason)
            return
        holds = answer.status in (400, 401) or (answer.status == 431 and len(item.token) > 8000)
        tried.expect(
            holds, what, answer.text, by=FORGER, finding=finding, reason=f"it was answered with {answer.status}",
            sent=[tenant, item.token],
        )  # fmt: skip

    async with asyncio.TaskGroup() as group:
        for item in forged:
            for door in doors:
                group.create_task(one(item, door))


async def _key(arena: Arena) -> Any:
    """The key that signs the platform's tokens now, where this user may read it."""
    try:
        raw: Any = await arena.home.secrets().get("signing-key")
    except PermissionError:
        return None
    return KeyRing.of(raw).signer(time.time()).private if raw else None


@attack("tokens.forged", surface="tokens")
async def forged(arena: Arena, tried: Recorder) -> None:
    """Tokens without or with another signature are refused everywhere."""
    async with httpx.AsyncClient(base_url=arena.places.router_url, trust_env=False, timeout=10) as client:
        jwks = (await client.get("/.well-known/jwks.json")).json()
    body = forge.claims(arena.victim, arena.facts["user_id"])
    good = await arena.neighbour.token()
    items = forge.unsigned(body, jwks, good, arena.places.identity_url)
    await _refused(arena, tried, items, _doors(arena))


@attack("tokens.misused", surface="tokens")
async def misused(arena: Arena, tried: Recorder) -> None:
    """Tokens that the platform's key signed for another issuer, audience or time are refused everywhere."""
    key = await _key(arena)
    if key is None:
        what = "tokens of the platform's own key with wrong claims"
        tried.not_run(what, by=FORGER, finding="tokens.claims", reason=_NO_KEY)
        return
    control = forge.signed(
        {"alg": "EdDSA", "kid": key.thumbprint()}, forge.claims(arena.victim, arena.facts["user_id"]), key
    )
    good = await _show(_doors(arena)[0], control, arena.victim.name)
    if good.status != 200:  # then a refusal would prove nothing
        raise RuntimeError(f"a good token of this key is answered with {good.status}: the attempts would prove nothing")
    items = forge.misused(arena.victim, arena.facts["user_id"], key)
    await _refused(arena, tried, items, _doors(arena))


@attack("tokens.mixed", surface="tokens")
async def mixed(arena: Arena, tried: Recorder) -> None:
    """A token whose name and id are of different tenants, or that lacks the id, opens no cell."""
    key = await _key(arena)
    if key is None:
        tried.not_run("tokens with the claims of two tenants", by=FORGER, finding="cell.tid", reason=_NO_KEY)
        return
    victim, mine, user = arena.victim, arena.neighbour, arena.facts["user_id"]
    header = {"alg": "EdDSA", "kid": key.thumbprint()}
    cases = (
        ("the attacker's name, the victim's id", mine.name, {"tenant": mine.name, "tid": victim.tenant_id}),
        ("the victim's name, the attacker's id", victim.name, {"tenant": victim.name, "tid": mine.tenant_id}),
        ("the victim's name, no id", victim.name, {"tid": None}),
        ("the victim's name, an empty id", victim.name, {"tid": ""}),
        ("the victim's name, an id of nobody", victim.name, {"tid": "n00000000000"}),
        ("the platform's name, the victim's id", "_public", {"tenant": "_public"}),
        ("the platform's admin", "_public", {"tenant": "_public", "tid": None, "roles": ["platform-admin"]}),
        ("a service token", victim.name, {"roles": ["service"], "scopes": ["probe"]}),
        ("a token with a scope", victim.name, {"scopes": ["read"]}),
        ("a list of tenants", victim.name, {"tenant": [mine.name, victim.name]}),
    )
    for name, tenant, change in cases:
        token = forge.signed(header, forge.claims(victim, user, **change), key)
        guard = "service-token" if "roles" in change or "scopes" in change else "tid"
        for door in _doors(arena):
            if door.name == "identity" and name == "the platform's admin":
                continue  # its subject is a user of the victim, who is no admin there: refused by another check
            answer = await _show(door, token, tenant)
            tried.expect(
                answer.status in (400, 401, 403, 404), f"token with {name}, shown to the {door.name}", answer.text,
                by=FORGER, finding=f"{'cell' if door.name == 'router' else door.name}.{guard}",
                reason=f"it was answered with {answer.status}", sent=[victim.name, victim.tenant_id, token],
            )  # fmt: skip


@attack("tokens.elsewhere", surface="tokens")
async def elsewhere(arena: Arena, tried: Recorder) -> None:
    """Only an access token in the Authorization header counts: no cookie, query, refresh token or second header."""
    victim, mine = arena.victim, arena.neighbour
    own, theirs = await mine.token(), await victim.token()
    router = arena.places.router_url
    cell = f"http://{victim.cell_http}"
    # The victim's own token, where it must not be looked for: if it is, cookies and links can be abused.
    for door in (router, cell):
        for name, target, headers in (
            ("in the query", f"{CONVERSATIONS}?access_token={theirs}", []),
            ("as a token in the query", f"{CONVERSATIONS}?token={theirs}&jwt={theirs}", []),
            ("in cookies", CONVERSATIONS, [("Cookie", f"token={theirs}; access_token={theirs}; session={theirs}")]),
            ("in X-Access-Token", CONVERSATIONS, [("X-Access-Token", theirs), ("X-Auth-Token", theirs)]),
            ("in Proxy-Authorization", CONVERSATIONS, [("Proxy-Authorization", f"Bearer {theirs}")]),
            ("without a scheme", CONVERSATIONS, [("Authorization", theirs)]),
            ("as Basic", CONVERSATIONS, [("Authorization", f"Basic {theirs}")]),
            ("as a refresh token", CONVERSATIONS, [("Authorization", f"Bearer {victim.refresh_token}")]),
        ):
            every = [("X-Tenant-ID", victim.name), *headers, ("Connection", "close")]
            answer = await wire.exchange(door, wire.request("GET", target, every))
            tried.expect(
                answer.status in (400, 401), f"the victim's token {name}, at {door}", answer.text, by=NOBODY,
                finding="tokens.places", reason=f"it was answered with {answer.status}", sent=[victim.name, theirs],
            )  # fmt: skip
    # Two tokens: the router and the cell must not choose different ones.
    for first, second in ((own, theirs), (theirs, own)):
        for tenant in (mine.name, victim.name):
            headers = [
                ("X-Tenant-ID", tenant),
                ("Authorization", f"Bearer {first}"),
                ("Authorization", f"Bearer {second}"),
            ]
            answer = await wire.exchange(
                router, wire.request("GET", CONVERSATIONS, [*headers, ("Connection", "close")])
            )
            tried.expect(
                answer.status in (400, 401, 403), "two Authorization headers of two tenants", answer.text, by=NEIGHBOUR,
                finding="tokens.places", reason=f"it was answered with {answer.status}", sent=[victim.name],
            )  # fmt: skip
    async with httpx.AsyncClient(base_url=router, trust_env=False, timeout=10) as client:
        answer = wire.of(await client.post("/api/v1/identity/refresh", json={"refresh_token": own}))
    tried.expect(
        answer.status in (400, 401), "an access token as a refresh token", answer.text, by=NEIGHBOUR,
        finding="identity.refresh", reason=f"it was answered with {answer.status}",
    )  # fmt: skip
