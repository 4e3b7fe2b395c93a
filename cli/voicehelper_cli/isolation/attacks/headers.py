"""Tenant headers, identity headers and paths that should confuse the router (docs/isolation.md names the CVEs)."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

from voicehelper_cli.isolation.arena import Arena
from voicehelper_cli.isolation.attack import Recorder, attack
from voicehelper_cli.isolation.attacks import wire
from voicehelper_cli.isolation.model import NEIGHBOUR, NOBODY, STRANGER, Attacker
from voicehelper_cli.isolation.plant import CONVERSATIONS

_LIST = f"{CONVERSATIONS}?limit=100"


def _values(mine: str, theirs: str) -> list[tuple[str, list[bytes]]]:
    """Names of tricks, and the values of X-Tenant-ID that they send."""
    m, t = mine.encode(), theirs.encode()
    return [
        ("the victim's name", [t]),
        ("twice, own first", [m, t]),
        ("twice, own last", [t, m]),
        ("twice the victim's", [t, t]),
        ("a comma", [m + b"," + t]),
        ("a comma and a blank", [t + b", " + m]),
        ("a semicolon", [m + b";" + t]),
        ("../ plain (CVE-2021-36156)", [m + b"/../" + t]),
        ("../ before it", [b"../" + t]),
        ("../ encoded once", [m + b"%2f..%2f" + t]),
        ("../ encoded twice (CVE-2026-21726)", [m + b"%252f%252e%252e%252f" + t]),
        ("percent-encoded", [b"%" + t[:1].hex().encode() + t[1:]]),
        ("upper case", [t.upper()]),
        ("a tab inside", [m + b"\t" + t]),
        ("a blank behind", [t + b" "]),
        ("a tab before", [b"\t" + t]),
        ("a NUL", [m + b"\0" + t]),
        ("a NUL behind", [t + b"\0"]),
        ("a vertical tab", [t + b"\x0b"]),
        ("a carriage return", [m + b"\r" + t]),
        ("a trailing dot", [t + b"."]),
        ("a no-break space", [t + "\u00a0".encode()]),
        ("a fullwidth letter", [("\uff49" + theirs[1:]).encode()]),
        ("a zero-width space", [t + "\u200b".encode()]),
        ("a Kelvin sign", [t.replace(b"k", "\u212a".encode())]),
        ("quoted", [b'"' + t + b'"']),
        ("the name of its scope", [b"tenant:" + t]),
        ("too long", [t * 200]),
        ("empty", [b""]),
        ("_public", [b"_public"]),
        ("_public and the victim", [b"_public", t]),
    ]


@attack("router.tenant-header", surface="router", needs=("neighbour", "stranger"))
async def tenant_header(arena: Arena, tried: Recorder) -> None:
    """Tenant headers that contradict the token are refused by the router itself."""
    for party, by in ((arena.neighbour, NEIGHBOUR), (arena.stranger, STRANGER)):
        token = f"Bearer {await party.token()}"
        cases = _values(party.name, arena.victim.name)
        cases += [("the keep-alive scope of the victim's cell", [f"__cell-{arena.victim.cell_id}".encode()])]
        for name, values in cases:
            headers: list[tuple[str, str | bytes]] = [("X-Tenant-ID", value) for value in values]
            await _refused(arena, tried, f"X-Tenant-ID: {name}", [*headers, ("Authorization", token)], by=by)
    token = f"Bearer {await arena.neighbour.token()}"
    theirs = arena.victim.name
    for names in (("x-tenant-id", "X-TENANT-ID"), ("X-Tenant-Id", "X-Tenant-ID ")):
        headers = [(names[0], arena.neighbour.name), (names[1], theirs), ("Authorization", token)]
        await _refused(arena, tried, f"header names {names!r}", headers, by=NEIGHBOUR)
    await _refused(arena, tried, "no X-Tenant-ID with a token", [("Authorization", token)], by=NEIGHBOUR)


async def _refused(
    arena: Arena, tried: Recorder, what: str, headers: wire.Headers, *, by: Attacker, target: str = _LIST
) -> None:
    url = arena.places.router_url
    answer = await wire.exchange(url, wire.request("GET", target, [*headers, ("Connection", "close")]))
    finding, sent = "router.agreement", [arena.victim.name]
    if answer.status in (0, 400, 401, 403, 404, 431) and not arena.canaries.seen(answer.raw, sent=sent):
        if answer.from_router:
            tried.held(f"GET {target} with {what}", answer.text, by=by, finding=finding)
            return
        tried.weakened(
            f"GET {target} with {what}", answer.text, by=by, finding=finding,
            reason="the router let it through to a cell; only the cell refused it",
        )  # fmt: skip
        return
    tried.leaked(
        f"GET {target} with {what}", answer.text, by=by, finding=finding,
        reason=f"it was answered with {answer.status}",
    )  # fmt: skip


_CLAIMED = (
    "X-Token-Tenant", "x-token-tid", "X-Tenant", "X-Tenant-Name", "X-Tid", "X-User-Id", "X-Cell-Id", "X-Consumer-Id",
    "X-Credential-Identifier", "X-Userinfo", "X-Forwarded-User", "X-Forwarded-Host", "X-Forwarded-Prefix",
    "X-Envoy-Original-Path", "X-Envoy-Internal", "X-Envoy-Original-Host", "X-Envoy-Force-Trace", "X-Original-URL",
    "X-Rewrite-URL", "X-Auth-Request-User", "Forwarded", "X-Caller", "X-Scopes", "X-Roles",
)  # fmt: skip


@attack("router.identity-headers", surface="router")
async def identity_headers(arena: Arena, tried: Recorder) -> None:
    """Identity headers that a client sends change nothing and do not arrive."""
    party, theirs = arena.neighbour, arena.victim.name
    token = ("Authorization", f"Bearer {await party.token()}")
    values = [theirs, arena.victim.tenant_id, arena.facts["user_id"]]
    for name in _CLAIMED:
        claimed = [(name, value) for value in values]
        if name in ("X-Original-URL", "X-Rewrite-URL", "X-Envoy-Original-Path"):
            claimed = [(name, f"{CONVERSATIONS}/{arena.facts['conversation_id']}")]
        headers = [("X-Tenant-ID", party.name), token, *claimed, ("Connection", "close")]
        answer = await wire.exchange(arena.places.router_url, wire.request("GET", _LIST, headers))
        tried.expect(
            answer.status == 200, f"one's own list with {name} of the victim", answer.text, by=NEIGHBOUR,
            finding="router.identity-headers", reason=f"it was answered with {answer.status}", sent=values,
        )  # fmt: skip
        forged: wire.Headers = [("X-Tenant-ID", theirs), token, *((name, value) for value in (theirs, party.name))]
        await _refused(arena, tried, f"the victim's name and {name}", forged, by=NEIGHBOUR)
    await _stripped(arena, tried)


async def _stripped(arena: Arena, tried: Recorder) -> None:
    """The router's own log tells which user it believes: on a path without a token it must not be the client's."""
    what, finding = "X-User-Id on a path that needs no token, as the router's log has it", "router.identity-headers"
    log = arena.places.logs / "router.log" if arena.places.logs else None
    mark, forged = f"iso-{secrets.token_hex(8)}", f"forged{secrets.token_hex(6)}"
    headers = [("X-User-Id", forged), ("X-Request-Id", mark), ("Connection", "close")]
    await wire.exchange(arena.places.router_url, wire.request("GET", "/.well-known/jwks.json", headers))
    try:
        line = await _logged(log, mark)
    except OSError as error:
        tried.not_run(what, by=NOBODY, finding=finding, reason=f"the router's log cannot be read here: {error}")
        return
    if not line:
        tried.not_run(what, by=NOBODY, finding=finding, reason="the router's log does not have the request")
    elif forged in line:
        tried.leaked(what, line, by=NOBODY, finding=finding, reason="a client's X-User-Id is believed by the router")
    else:
        tried.held(what, line, by=NOBODY, finding=finding)


async def _logged(log: Path | None, mark: str) -> str:
    """The line of a request, which Envoy flushes within ten seconds."""
    if log is None:
        raise FileNotFoundError("the log is not on this machine")
    for _ in range(40):
        text = await asyncio.to_thread(_tail, log)
        found = next((line for line in text.splitlines() if mark in line), "")
        if found:
            return found
        await asyncio.sleep(0.3)
    return ""


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 500_000))
        return file.read().decode("utf-8", "replace")


@attack("router.paths", surface="router")
async def paths(arena: Arena, tried: Recorder) -> None:
    """Paths that look open, absolute URLs, methods in headers: nobody gets past the token or into another tenant."""
    theirs, chat = arena.victim.name, f"{CONVERSATIONS}/{arena.facts['conversation_id']}"
    open_looking = (
        f"/.well-known/..{chat}", f"/.well-known/..%2f..{chat}", f"/.well-known/%2e%2e{chat}",
        f"/.well-known/%252e%252e{chat}", f"/healthz/..{chat}", f"/healthz;{chat}", f"/healthz%3b/..{chat}",
        f"/api/v1/identity/login/../..{chat.removeprefix('/api/v1')}", f"/api/v1/identity/login;/../..{chat}",
        f"//{chat}", f"/.{chat}", f"/api/v1/identity/login?x=/../{chat}", f"http://{theirs}{chat}",
        f"http://127.0.0.1/.well-known/..{chat}", f"{chat}%00", f"{chat}/",
        f"{chat};tenant={theirs}", f"{chat}?tenant={theirs}",
        f"/.well-known/jwks.json/../..{chat}", f"/.well-known\\..{chat}", f"*{chat}",
        f"/api/v1/auth/login/..%5c..{chat}",
    )  # fmt: skip
    token = ("Authorization", f"Bearer {await arena.neighbour.token()}")
    for target in open_looking:
        for by, headers in (
            (NOBODY, [("X-Tenant-ID", theirs)]),
            (NEIGHBOUR, [("X-Tenant-ID", arena.neighbour.name), token]),
            (NEIGHBOUR, [("X-Tenant-ID", theirs), token]),
        ):
            request = wire.request("GET", target, [*headers, ("Connection", "close")])
            answer = await wire.exchange(arena.places.router_url, request)
            served = answer.status == 200 and b"keys" not in answer.raw and not answer.raw.endswith(b"ok\n")
            if (
                by is NOBODY
                and "/.." in target
                and "%25" not in target
                and "?" not in target
                and not answer.from_router
            ):
                # Unescaped, it is a path that needs a token: the router has to ask for one.
                reason = "the router passed it on without a token; only the service behind it refused it"
                tried.weakened(f"GET {target}", answer.text, by=by, finding="router.paths", reason=reason)
                continue
            tried.expect(
                not served, f"GET {target}", answer.text, by=by, finding="router.paths",
                reason=f"it was answered with {answer.status}", sent=target,
            )  # fmt: skip
    for name in ("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"):
        headers = [("X-Tenant-ID", arena.neighbour.name), token, (name, "DELETE"), ("Connection", "close")]
        target = f"/api/v1/knowledge/documents/{arena.facts['document_id']}"
        answer = await wire.exchange(arena.places.router_url, wire.request("GET", target, headers))
        tried.expect(
            answer.status == 404, f"GET {target} with {name}: DELETE", answer.text, by=NEIGHBOUR,
            finding="router.paths", reason=f"it was answered with {answer.status}", sent=target,
        )  # fmt: skip
    for host in (
        theirs,
        f"{theirs}.localhost",
        arena.victim.cell_http,
        "identity-http",
        "",
        "a, b",
    ):
        headers = [("X-Tenant-ID", theirs), token, ("Connection", "close")]
        answer = await wire.exchange(arena.places.router_url, wire.request("GET", _LIST, headers, host=host))
        tried.expect(
            answer.status in (400, 403, 0), f"Host: {host!r} with the victim's name", answer.text, by=NEIGHBOUR,
            finding="router.agreement", reason=f"it was answered with {answer.status}", sent=[host, theirs],
        )  # fmt: skip


@attack("router.public-scope", surface="router")
async def public_scope(arena: Arena, tried: Recorder) -> None:
    """The scope of requests without a tenant serves identity and discovery, and nothing of a cell or the platform."""
    token = ("Authorization", f"Bearer {await arena.neighbour.token()}")
    targets = (
        _LIST, "/api/v1/openapi.json", "/api/v1/probe", "/metrics", "/readyz", "/stats", "/config_dump",
        "/api/v1/identity/../../metrics", "/api/v1/identity/metrics", "/api/v1/identity/readyz",
        "/.well-known/../metrics", "/.well-known/metrics", "/api/v1/auth/../../metrics",
        f"/api/v1/identity/tenants/{arena.victim.name}", f"/api/v1/identity/users/{arena.facts['user_id']}",
        f"/api/v1/identity/cells/{arena.victim.cell}", "/api/v1/identity/audit",
    )  # fmt: skip
    for target in targets:
        for name, headers in (
            ("no tenant", []),
            ("_public", [("X-Tenant-ID", "_public")]),
            ("no tenant, a token", [token]),
            ("_public, a token", [("X-Tenant-ID", "_public"), token]),
            ("the own tenant", [("X-Tenant-ID", arena.neighbour.name), token]),
        ):
            request = wire.request("GET", target, [*headers, ("Connection", "close")])
            answer = await wire.exchange(arena.places.router_url, request)
            own = name == "the own tenant" and target in (_LIST, "/api/v1/openapi.json", "/api/v1/identity/audit")
            tried.expect(
                own or answer.status not in range(200, 300), f"GET {target} with {name}", answer.text,
                by=NEIGHBOUR if token in headers else NOBODY, finding="router.public-scope",
                reason=f"it was answered with {answer.status}", sent=target,
            )  # fmt: skip
