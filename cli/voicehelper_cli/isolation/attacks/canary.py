"""A release that is tried beside the one that serves: its header opens nothing, its process refuses the same people."""

from __future__ import annotations

from voicehelper_crds import Cell

from voicehelper_cli.isolation.arena import Arena
from voicehelper_cli.isolation.attack import Recorder, attack
from voicehelper_cli.isolation.attacks import wire
from voicehelper_cli.isolation.attacks.direct import show_foreign
from voicehelper_cli.isolation.model import NEIGHBOUR, NOBODY, STRANGER
from voicehelper_cli.isolation.plant import CONVERSATIONS

_VALUES = ("true", "TRUE", "true, true", "1")


@attack("canary.header", surface="router", needs=("neighbour", "stranger"))
async def header(arena: Arena, tried: Recorder) -> None:
    """`x-canary` chooses a release of the own cell and opens no other tenant's."""
    theirs, messages = arena.victim.name, f"{CONVERSATIONS}/{arena.facts['conversation_id']}/messages"
    for by, mine in ((NEIGHBOUR, arena.neighbour), (STRANGER, arena.stranger)):
        token = ("Authorization", f"Bearer {await mine.token()}")
        for value in _VALUES:
            asked = [("x-canary", value), ("Connection", "close")]
            for path in (CONVERSATIONS, messages):
                data = wire.request("GET", path, [("X-Tenant-ID", theirs), token, *asked])
                answer = await wire.exchange(arena.places.router_url, data)
                tried.expect(
                    answer.status in (400, 401, 403), f"GET {path} as the victim with x-canary: {value}", answer.text,
                    by=by, finding="router.agreement", reason=f"it was answered with {answer.status}",
                    sent=[theirs, path],
                )  # fmt: skip
            data = wire.request("GET", messages, [("X-Tenant-ID", mine.name), token, *asked])
            answer = await wire.exchange(arena.places.router_url, data)
            tried.expect(
                answer.status == 404, f"GET {messages} as oneself with x-canary: {value}", answer.text, by=by,
                finding="router.canary", reason=f"it was answered with {answer.status}", sent=messages,
            )  # fmt: skip
    data = wire.request("GET", messages, [("X-Tenant-ID", theirs), ("x-canary", "true"), ("Connection", "close")])
    answer = await wire.exchange(arena.places.router_url, data)
    tried.expect(
        answer.status == 401, f"GET {messages} without a token with x-canary", answer.text, by=NOBODY,
        finding="router.token", reason=f"it was answered with {answer.status}", sent=[theirs, messages],
    )  # fmt: skip


@attack("canary.process", surface="cell", needs=("neighbour", "stranger"))
async def process(arena: Arena, tried: Recorder) -> None:
    """The process of a release that is tried checks token, tenant header and placement like the one that serves."""
    cell = await arena.world.resources.store.get(Cell, arena.victim.cell)
    found = cell.status.canary
    if found is None or not found.ready or not found.endpoints.http:
        reason = "no release is tried in the victim's cell: run it while one is in a stage there"
        tried.not_run("tokens of others at a release that is tried", by=NEIGHBOUR, finding="canary", reason=reason)
        return
    await show_foreign(arena, tried, f"http://{found.endpoints.http}", "canary")
