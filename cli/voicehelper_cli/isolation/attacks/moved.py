"""A tenant that was moved: its old cell refuses it and keeps nothing, its new cell knows nobody of the old one."""

from __future__ import annotations

from voicehelper_crds import TenantMove

from voicehelper_cli.isolation.arena import Arena
from voicehelper_cli.isolation.attack import Recorder, attack
from voicehelper_cli.isolation.attacks import wire
from voicehelper_cli.isolation.model import NEIGHBOUR, Attacker
from voicehelper_cli.isolation.party import Party
from voicehelper_cli.isolation.plant import CONVERSATIONS
from voicehelper_cli.isolation.stores import moved as rows
from voicehelper_cli.isolation.world import READY_SECONDS
from voicehelper_cli.resources import wait_condition, wait_deleted

MOVED = Attacker("token of a tenant that was moved to another cell")
_GRACE_SECONDS = 3600


@attack("moves.moved", surface="moves", seconds=300)
async def moved(arena: Arena, tried: Recorder) -> None:
    """A moved tenant's old cell, after the switch and after the clean-up, and its new cell, for whoever stayed."""
    world = arena.world
    role = f"mover-{len(world.parties)}"
    await world.tenant(role, cell=arena.victim.cell)
    before = await world.ready(role)
    secret = arena.plant("title of a tenant that moved").secret
    chat = await before.call("POST", CONVERSATIONS, json={"title": secret})
    move, store = f"{before.name}-move", world.resources.store
    target = {"isolation": "dedicated"}
    await world.apply(
        "TenantMove", move, {"tenant": before.name, "target": target, "graceSeconds": _GRACE_SECONDS}
    )  # fmt: skip
    await wait_condition(store, TenantMove, move, "Switched", timeout=READY_SECONDS)
    after = await world.ready(role)
    if after.cell_id == before.cell_id or (await after.call("GET", f"{CONVERSATIONS}/{chat['id']}"))["title"] != secret:
        raise AssertionError("the tenant was not moved: nothing was tested")
    path = f"{CONVERSATIONS}/{chat['id']}"
    await _old_cell(arena, tried, before, path, "after the switch")
    await _new_cell(arena, tried, after, path)
    await rows.of_others(arena, tried, before, after)
    await store.delete(TenantMove, move)  # which ends the grace
    await wait_deleted(store, TenantMove, move, timeout=READY_SECONDS)
    await _old_cell(arena, tried, before, path, "after the clean-up")
    await rows.left(arena, tried, before)


async def _old_cell(arena: Arena, tried: Recorder, mover: Party, path: str, when: str) -> None:
    """With the tenant's own good token, at the old cell's own port."""
    headers = [*(await mover.headers()).items(), ("Content-Type", "application/json"), ("Connection", "close")]
    body = wire.plain({"title": "written too late"})
    length = [("Content-Length", str(len(body)))]
    for what, data in (
        ("GET the list", wire.request("GET", CONVERSATIONS, headers)),
        ("GET the tenant's own conversation", wire.request("GET", path, headers)),
        ("POST a conversation", wire.request("POST", CONVERSATIONS, [*headers, *length], body)),
    ):
        answer = await wire.exchange(f"http://{arena.victim.cell_http}", data)
        tried.expect(
            answer.status in (401, 403, 503), f"{what} at the old cell {when}", answer.text, by=MOVED,
            finding="moves.old-cell", reason=f"it was answered with {answer.status}",
        )  # fmt: skip


async def _new_cell(arena: Arena, tried: Recorder, mover: Party, path: str) -> None:
    """Whoever stayed in the old cell has nothing to seek in the new one."""
    mine = arena.neighbour
    token = ("Authorization", f"Bearer {await mine.token()}")
    for url, door in ((f"http://{mover.cell_http}", "new cell"), (arena.places.router_url, "router")):
        for name in (mover.name, mine.name):
            headers = [("X-Tenant-ID", name), token, ("Connection", "close")]
            for target in (CONVERSATIONS, path):
                answer = await wire.exchange(url, wire.request("GET", target, headers))
                own = door == "router" and name == mine.name  # that is the neighbour's own cell
                tried.expect(
                    answer.status in (401, 403, 404) or (own and target == CONVERSATIONS),
                    f"GET {target} at the {door}, as {name}", answer.text, by=NEIGHBOUR, finding="moves.new-cell",
                    reason=f"it was answered with {answer.status}", sent=[target, name],
                )  # fmt: skip
