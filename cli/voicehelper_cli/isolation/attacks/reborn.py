"""A tenant that was removed and made again under the same name is another one: old tokens must not open it."""

from __future__ import annotations

from voicehelper_cli.isolation.arena import Arena
from voicehelper_cli.isolation.attack import Recorder, attack
from voicehelper_cli.isolation.attacks import wire
from voicehelper_cli.isolation.model import Attacker
from voicehelper_cli.isolation.plant import CONVERSATIONS

OLD = Attacker("token of a removed tenant of the same name")


@attack("tokens.reborn", surface="tokens", seconds=240)
async def reborn(arena: Arena, tried: Recorder) -> None:
    """Old tokens of a removed tenant are refused by the new tenant of that name."""
    world = arena.world
    await world.tenant("reborn", cell=arena.victim.cell)
    old = await world.ready("reborn")
    token, refresh = await old.token(), old.refresh_token
    chat = await old.call("POST", CONVERSATIONS, json={"title": arena.plant("title of a removed tenant").secret})
    await world.remove_tenant(old.name)
    gone = await _get(arena.places.router_url, CONVERSATIONS, old.name, token)
    tried.expect(
        gone.status in (401, 403, 404, 503), "a token of a removed tenant", gone.text, by=OLD, finding="router.scope",
        reason=f"it was answered with {gone.status}",
    )  # fmt: skip
    await world.tenant("reborn", cell=arena.victim.cell)
    new = await world.ready("reborn")
    if new.tenant_id == old.tenant_id:
        tried.leaked("making a tenant again", new.tenant_id, by=OLD, finding="cell.tid", reason="it has the old id")
    title = arena.plant("title of a new tenant").secret
    mine = await new.call("POST", CONVERSATIONS, json={"title": title})
    for path in (CONVERSATIONS, f"{CONVERSATIONS}/{mine['id']}", "/api/v1/knowledge/documents", "/api/v1/usage"):
        for name, url in (("router", arena.places.router_url), ("cell", f"http://{new.cell_http}")):
            answer = await _get(url, path, new.name, token)
            tried.expect(
                answer.status in (401, 403), f"GET {path} at the {name} with the old token", answer.text, by=OLD,
                finding="cell.tid", reason=f"it was answered with {answer.status}", sent=path,
            )  # fmt: skip
    for path in ("/api/v1/identity/me", "/api/v1/identity/users", f"/api/v1/identity/tenants/{new.name}"):
        answer = await _get(arena.places.router_url, path, new.name, token)
        tried.expect(
            answer.status in (401, 403, 404), f"GET {path} with the old token", answer.text, by=OLD,
            finding="identity.tid", reason=f"it was answered with {answer.status}", sent=path,
        )  # fmt: skip
    answer = wire.of(await new.http.post("/api/v1/identity/refresh", json={"refresh_token": refresh}))
    tried.expect(
        answer.status in (401, 403), "the old refresh token", answer.text, by=OLD, finding="identity.tid",
        reason=f"it was answered with {answer.status}",
    )  # fmt: skip
    listed = await new.call("GET", CONVERSATIONS)
    seen = [item["id"] for item in listed["items"]] == [mine["id"]]
    tried.expect(
        seen, "the new tenant's list", str(listed).replace(title, "its own"), by=OLD, finding="cell.tid",
        reason=f"it shows data of the old tenant (conversation {chat['id']})",
    )  # fmt: skip
    await world.remove_tenant(new.name)


async def _get(url: str, path: str, tenant: str, token: str) -> wire.Answer:
    headers = [("X-Tenant-ID", tenant), ("Authorization", f"Bearer {token}"), ("Connection", "close")]
    return await wire.exchange(url, wire.request("GET", path, headers))
