"""Event streams of the victim's answers."""

from __future__ import annotations

from voicehelper_cli.isolation.arena import Arena
from voicehelper_cli.isolation.attack import Recorder, attack
from voicehelper_cli.isolation.attacks.routes import send
from voicehelper_cli.isolation.model import NEIGHBOUR
from voicehelper_cli.isolation.plant import CONVERSATIONS

_ACCEPT = {"Accept": "text/event-stream"}


@attack("http.streams", surface="http")
async def streams(arena: Arena, tried: Recorder) -> None:
    """The events of another's answer cannot be followed, whichever conversation the path names."""
    party, facts = arena.neighbour, arena.facts
    mine = await party.call("POST", CONVERSATIONS, json={"title": "streams"})
    answer = await party.call("POST", f"{CONVERSATIONS}/{mine['id']}/messages", json={"content": "hello"})
    pairs = (
        ("the victim's conversation and answer", facts["conversation_id"], facts["message_id"]),
        ("one's own conversation and the victim's answer", mine["id"], facts["message_id"]),
        ("the victim's conversation and one's own answer", facts["conversation_id"], answer["id"]),
        ("the victim's question", facts["conversation_id"], facts["user_message_id"]),
    )
    for name, conversation, message in pairs:
        for last in ("0", "1", "999999"):
            path = f"{CONVERSATIONS}/{conversation}/messages/{message}/events"
            found = await send(party, "GET", path, headers={**_ACCEPT, "Last-Event-ID": last})
            tried.expect(
                found.status == 404, f"events of {name} after {last}", found.text, by=NEIGHBOUR,
                finding="http.streams", reason=f"it was answered with {found.status}", sent=path,
            )  # fmt: skip
