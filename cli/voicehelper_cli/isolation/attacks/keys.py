"""Idempotency keys and external ids of the victim, used by another tenant, and logins that name it."""

from __future__ import annotations

from voicehelper_cli.isolation.arena import Arena
from voicehelper_cli.isolation.attack import Recorder, attack
from voicehelper_cli.isolation.attacks import wire
from voicehelper_cli.isolation.attacks.routes import send
from voicehelper_cli.isolation.attacks.values import Values
from voicehelper_cli.isolation.model import NEIGHBOUR, NOBODY
from voicehelper_cli.isolation.plant import CONVERSATIONS, DOCUMENTS


@attack("http.keys", surface="http")
async def keys(arena: Arena, tried: Recorder) -> None:
    """The victim's idempotency keys and external ids are free for others, and meet nothing."""
    party, facts = arena.neighbour, arena.facts
    key = {"Idempotency-Key": f"{facts['idempotency_key']}-keys"}
    title = arena.canaries.of("title of a conversation").secret
    for body in ({"title": title}, {"title": "mine"}):
        # With another body, 422 would say that the key is known.
        own = key if body["title"] == title else {"Idempotency-Key": facts["idempotency_key"]}
        answer = await send(party, "POST", CONVERSATIONS, json=body, headers=own)
        tried.expect(
            answer.status == 201,
            f"a new conversation with the victim's Idempotency-Key and {'its' if body['title'] == title else 'a'} body",
            answer.text,
            by=NEIGHBOUR,
            finding="http.idempotency.conversations",
            reason="the key of another tenant is known",
            sent=[str(own), title],
        )
    chat = await party.call("POST", CONVERSATIONS, json={"title": "keys"})
    path = f"{CONVERSATIONS}/{chat['id']}/messages"
    theirs = {"Idempotency-Key": f"{facts['idempotency_key']}-m"}
    answer = await send(party, "POST", path, json={"content": "mine"}, headers=theirs)
    tried.expect(
        answer.status == 200, f"POST {path} with the key of the victim's message", answer.text, by=NEIGHBOUR,
        finding="http.idempotency.messages", reason="the key of another tenant is known", sent=str(key),
    )  # fmt: skip
    body = {"title": "mine", "content": "mine", "external_id": facts["external_id"]}
    for headers in (key, {}):
        answer = await send(party, "POST", DOCUMENTS, json=body, headers=headers)
        tried.expect(
            answer.status == 202, f"POST {DOCUMENTS} with the victim's external_id", answer.text, by=NEIGHBOUR,
            finding="http.idempotency.documents", reason="the victim's document was met", sent=str([key, body]),
        )  # fmt: skip
    answer = await send(party, "GET", DOCUMENTS, params={"external_id": facts["external_id"]})
    tried.judge(
        "GET documents by the victim's external_id", answer.text, by=NEIGHBOUR, finding="http.ids.knowledge",
        sent=body["external_id"],
    )  # fmt: skip


@attack("http.logins", surface="identity")
async def logins(arena: Arena, tried: Recorder) -> None:
    """A failed login or refresh does not tell which tenants and users exist."""
    theirs, nobody = Values.of_victim(arena, "keys"), Values.of_nobody()
    admin = arena.victim.credentials.email
    cases = (
        ("a user of the victim", theirs, theirs.known["email"]),
        ("the victim's admin", theirs, admin),
        ("nobody in the victim", theirs, nobody.known["email"]),
    )
    for prefix in ("/api/v1/identity", "/api/v1/auth"):
        control = await _login(arena, prefix, nobody.known["tenant"], nobody.known["email"])
        for name, values, email in cases:
            answer = await _login(arena, prefix, values.known["tenant"], email)
            same = wire.shape(answer) == wire.shape(control) and answer.status == 401
            tried.expect(
                same, f"POST {prefix}/login as {name} with a wrong password", answer.text, by=NOBODY,
                finding="identity.existence", reason=f"a tenant that does not exist is answered with {control.text}",
                sent=[email, values.known["tenant"]],
            )  # fmt: skip
    for path in ("/healthz", "/.well-known/jwks.json", "/.well-known/openid-configuration", "/api/v1/identity/refresh"):
        found = [await _open(arena, path, values.known["tenant"]) for values in (theirs, nobody)]
        tried.expect(
            wire.shape(found[0]) == wire.shape(found[1]), f"GET {path}, which needs no token, with the victim's name",
            found[0].text, by=NOBODY, finding="identity.existence",
            reason=f"with a name of nobody it is answered with {found[1].text[:200]}", sent=theirs.known["tenant"],
        )  # fmt: skip
    for token in (theirs.known["user_id"], await arena.neighbour.token()):
        answer = wire.of(await arena.neighbour.http.post("/api/v1/identity/refresh", json={"refresh_token": token}))
        tried.expect(
            answer.status in (400, 401), "POST refresh with something that is no refresh token", answer.text, by=NOBODY,
            finding="identity.refresh", reason="it was taken", sent=token,
        )  # fmt: skip


async def _login(arena: Arena, prefix: str, tenant: str, email: str) -> wire.Answer:
    body = {"tenant": tenant, "email": email, "password": "not-the-password"}
    headers = {"X-Tenant-ID": tenant}
    return wire.of(await arena.neighbour.http.post(f"{prefix}/login", json=body, headers=headers))


async def _open(arena: Arena, path: str, tenant: str) -> wire.Answer:
    return wire.of(await arena.neighbour.http.get(path, headers={"X-Tenant-ID": tenant}))
