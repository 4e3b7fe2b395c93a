"""Requests inside of requests: what one server takes for a body, another could take for the next request."""

from __future__ import annotations

from voicehelper_cli.isolation.arena import Arena
from voicehelper_cli.isolation.attack import Recorder, attack
from voicehelper_cli.isolation.attacks import wire
from voicehelper_cli.isolation.model import NEIGHBOUR
from voicehelper_cli.isolation.plant import CONVERSATIONS

_BODY = b'{"title":"mine"}'
_LENGTH = b"Content-Length: %d\r\n" % len(_BODY)
_CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(_BODY), _BODY)
_ENCODINGS = (
    b"Transfer-Encoding: chunked", b"Transfer-Encoding : chunked", b"Transfer-Encoding:\tchunked",
    b"Transfer-Encoding: xchunked", b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", b"Transfer-Encoding:\x0bchunked",
    b"Transfer-Encoding: CHUNKED", b"Transfer-Encoding:\r\n chunked", b"transfer_encoding: chunked",
    b'Transfer-Encoding: "chunked"',
)  # fmt: skip
_H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
_WEBSOCKET = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


def _framed(start: bytes, inner: bytes) -> list[tuple[str, bytes]]:
    """Two statements about where the body ends."""
    whole, cases = b"Content-Length: %d\r\n" % len(_CHUNKED + inner), []
    for encoding in _ENCODINGS:
        label = encoding.decode("latin-1").encode("unicode_escape").decode()
        cases.append((f"CL.TE with {label}", start + whole + encoding + b"\r\n\r\n" + _CHUNKED + inner))
        cases.append((f"TE.CL with {label}", start + encoding + b"\r\nContent-Length: 4\r\n\r\n" + _CHUNKED + inner))
    for name, value in (
        ("a list of lengths", b"%d, %d" % (len(_BODY), len(_BODY + inner))),
        ("a signed length", b"+%d" % len(_BODY)),
        ("a hexadecimal length", b"0x%x" % len(_BODY)),
        ("a negative length", b"-1"),
    ):
        cases.append((name, start + b"Content-Length: " + value + b"\r\n\r\n" + _BODY + inner))
    more = b"Content-Length: %d\r\n" % len(_BODY + inner)
    chunks = start + b"Transfer-Encoding: chunked\r\n\r\n"
    cases += [
        ("two lengths", start + _LENGTH + more + b"\r\n" + _BODY + inner),
        ("a chunk that is too large", chunks + b"ffffffffffffffff1\r\nx\r\n0\r\n\r\n" + inner),
        ("a chunk extension with a line feed", chunks + b"10;a\n=b\r\n" + _BODY + b"\r\n0\r\n\r\n" + inner),
    ]
    return cases


def _odd(start: bytes, inner: bytes, path: bytes, head: bytes) -> list[tuple[str, bytes]]:
    """Lines, upgrades and versions that servers read differently."""
    rest = _LENGTH + b"\r\n" + _BODY + inner
    get = start.replace(b"POST", b"GET", 1)
    return [
        ("a folded header", start + b"X-A: b\r\n X-Tenant-ID: c\r\n" + rest),
        ("bare line feeds", (start + _LENGTH).replace(b"\r\n", b"\n") + b"\n" + _BODY + inner),
        ("a bare carriage return in a name", start + b"X\rY: z\r\n" + rest),
        ("a blank in a name", start + b"X Y: z\r\n" + rest),
        ("a NUL in a value", start + b"X-A: b\0c\r\n" + rest),
        ("a body of a GET", get + b"Content-Length: %d\r\n\r\n" % len(inner) + inner),
        ("an upgrade to h2c", get + _H2C + b"\r\n" + inner),
        ("an upgrade to a websocket", get + _WEBSOCKET + b"\r\n" + inner),
        ("a CONNECT", b"CONNECT identity-http:80 HTTP/1.1\r\nHost: identity-http:80\r\n" + head + b"\r\n" + inner),
        ("a line feed in the path", start.replace(b" HTTP/1.1", b"\nX-Tenant-ID: x HTTP/1.1", 1) + rest),
        ("HTTP/1.0 that is kept alive", start.replace(b"1.1", b"1.0", 1) + b"Connection: keep-alive\r\n" + rest),
        ("HTTP/0.9", b"GET " + path + b"\r\n" + inner),
        ("Expect and an early body", start + b"Expect: 100-continue\r\n" + rest),
        ("two requests at once", start + rest),
    ]


@attack("router.smuggling", surface="router", seconds=90)
async def smuggling(arena: Arena, tried: Recorder) -> None:
    """A request smuggled behind another one is refused like any other, and poisons no connection."""
    party, theirs = arena.neighbour, arena.victim.name
    token = await party.token()
    head = f"X-Tenant-ID: {party.name}\r\nAuthorization: Bearer {token}\r\n".encode()
    path = CONVERSATIONS.encode()
    start = b"POST " + path + b" HTTP/1.1\r\nHost: router\r\n" + head + b"Content-Type: application/json\r\n"
    chat = f"{CONVERSATIONS}/{arena.facts['conversation_id']}/messages"
    inner = wire.request("GET", chat, [("X-Tenant-ID", theirs), ("Authorization", f"Bearer {token}")])
    own = [("X-Tenant-ID", party.name), ("Authorization", f"Bearer {token}"), ("Connection", "close")]
    honest = wire.request("GET", f"{CONVERSATIONS}?limit=1", own)
    for name, data in _framed(start, inner) + _odd(start, inner, path, head):
        answer = await wire.exchange(arena.places.router_url, data, seconds=1.5)
        sent = [theirs, chat]
        tried.judge(name, answer.raw[-2000:], by=NEIGHBOUR, finding="router.smuggling", sent=sent)
        after = await wire.exchange(arena.places.router_url, honest)
        same = after.status == 200 and b'"items"' in after.raw and after.answers == 1
        tried.expect(
            same, f"one's own list after: {name}", after.text, by=NEIGHBOUR, finding="router.smuggling",
            reason="the connection behind the router answers something else", sent=sent,
        )  # fmt: skip
