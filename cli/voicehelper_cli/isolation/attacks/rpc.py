"""Every gRPC method with the victim's ids: through the router and at the ports of the cell and the platform."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

import grpc
import grpc.aio
from voicehelper_core.grpc_service import OPTIONS

from voicehelper_cli.isolation.arena import Arena
from voicehelper_cli.isolation.attack import Recorder, attack
from voicehelper_cli.isolation.attacks import contracts, wire
from voicehelper_cli.isolation.attacks.values import Values
from voicehelper_cli.isolation.model import NEIGHBOUR, NOBODY, STRANGER, Attacker

_SECONDS = 8.0
_PARALLEL = 6
_REFUSED = frozenset({
    "UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED", "NOT_FOUND", "INVALID_ARGUMENT", "FAILED_PRECONDITION",
})  # fmt: skip
_OPEN = {
    # What answers anybody, because there is nothing of a tenant in it (inference keeps nothing), or because it is how
    # sessions end: an unknown refresh token ends none.
    "/inference.v1.InferenceService/Embed",
    "/identity.v1.IdentityService/Logout",
}
_OWN = {
    # What another tenant may do in its own name; its answers are compared and searched for canaries.
    "/conversation.v1.ConversationService/CreateConversation",
    "/conversation.v1.ConversationService/ListConversations",
    "/knowledge.v1.KnowledgeService/UploadDocument",
    "/knowledge.v1.KnowledgeService/ListDocuments",
    "/knowledge.v1.KnowledgeService/Search",
    "/analytics.v1.UsageService/GetUsage",
}
Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    code: str
    data: bytes

    @property
    def text(self) -> str:
        return f"{self.code} {self.data[:300].decode('utf-8', 'replace')}"


async def _call(channel: grpc.aio.Channel, method: contracts.Method, request: bytes, metadata: Metadata) -> _Answer:
    try:
        if not method.streaming:
            data = await channel.unary_unary(method.path)(request, metadata=metadata, timeout=_SECONDS)
            return _Answer("OK", bytes(data))
        parts = [
            bytes(part)
            async for part in channel.unary_stream(method.path)(request, metadata=metadata, timeout=_SECONDS)
        ]
        return _Answer("OK", b"\n".join(parts))
    except grpc.aio.AioRpcError as error:
        return _Answer(error.code().name, (error.details() or "").encode())


def _shape(answer: _Answer, values: Values) -> tuple[str, str]:
    text = answer.data.decode("utf-8", "replace") if answer.code != "OK" else ""
    for index, word in enumerate(values.said):
        text = text.replace(word, f"<{index}>")
    return answer.code, wire.VOLATILE.sub("", re.sub(r"0x[0-9a-f]+|\d{5,}", "", text))


@dataclass(frozen=True, slots=True)
class _Caller:
    name: str
    by: Attacker
    metadata: Metadata


async def _attack(arena: Arena, tried: Recorder, door: str, address: str, callers: list[_Caller]) -> None:
    theirs, nobody, gate = Values.of_victim(arena, door), Values.of_nobody(), asyncio.Semaphore(_PARALLEL)

    async def one(channel: grpc.aio.Channel, method: contracts.Method, who: _Caller) -> None:
        async with gate:
            answer = await _call(channel, method, contracts.fill(method, theirs), who.metadata)
            control = await _call(channel, method, contracts.fill(method, nobody), who.metadata)
        what = f"{method.path} at the {door}, {who.name}"
        finding, sent = f"grpc.{door}.{method.service}", [*theirs.said, str(who.metadata)]
        same = _shape(answer, theirs) == _shape(control, nobody)
        if method.path in _OPEN or (answer.code == "OK" and method.path in _OWN and who.by is not NOBODY):
            tried.judge(what, [answer.data], by=who.by, finding=finding, sent=sent)
            return
        reason = (
            f"it was answered with {answer.code}"
            if same
            else f"what exists is answered with {answer.text[:150]}, what does not with {control.text[:150]}"
        )
        tried.expect(
            same and answer.code in _REFUSED, what, answer.text, by=who.by, finding=finding, reason=reason, sent=sent
        )

    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel, asyncio.TaskGroup() as group:
        for method in contracts.methods():
            for who in callers:
                group.create_task(one(channel, method, who))


@attack("grpc.cell", surface="grpc", needs=("neighbour", "stranger"), seconds=90)
async def cell(arena: Arena, tried: Recorder) -> None:
    """Every contract through the router and at the cell's gRPC port."""
    theirs = ("x-tenant-id", arena.victim.name)
    mine, far = arena.neighbour, arena.stranger
    own = ("authorization", f"Bearer {await mine.token()}")
    other = ("authorization", f"Bearer {await far.token()}")
    forged = (("x-caller", "web"), ("x-tenant", arena.victim.name), ("x-user-id", arena.facts["user_id"]))
    neighbour = _Caller("another tenant's token", NEIGHBOUR, (own, ("x-tenant-id", mine.name), *forged))
    routed = [
        neighbour,
        _Caller("another tenant's token and the victim's header", NEIGHBOUR, (own, theirs, *forged)),
        _Caller("no token", NOBODY, (theirs, *forged)),
    ]
    host, port = wire.endpoint(arena.places.router_url)
    await _attack(arena, tried, "router", f"{host}:{port}", routed)
    direct = [
        neighbour,
        _Caller("a token of another cell", STRANGER, (other, *forged)),
        _Caller("no token", NOBODY, (theirs, *forged)),
    ]
    await _attack(arena, tried, "cell", arena.victim.cell_grpc, direct)


@attack("grpc.platform", surface="grpc")
async def platform(arena: Arena, tried: Recorder) -> None:
    """Every contract at the ports of identity, analytics and inference."""
    own = ("authorization", f"Bearer {await arena.neighbour.token()}")
    callers = [
        _Caller("another tenant's token", NEIGHBOUR, (own, ("x-caller", "web"))),
        _Caller("no token", NOBODY, (("x-caller", "web"),)),
        _Caller("a guessed provisioning key", NOBODY, (("x-provisioning-key", "guess"), ("x-caller", "operator"))),
    ]
    for door, address in (
        ("identity", arena.places.identity_grpc),
        ("analytics", arena.places.analytics_grpc),
        ("inference", arena.places.inference_grpc),
    ):
        await _attack(arena, tried, door, address, callers)
