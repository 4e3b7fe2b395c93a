"""Raw requests over a socket, so that no client mends what is wrong with them; and strategies that make them."""

from __future__ import annotations

import contextlib
import json
import socket
from dataclasses import dataclass
from http.client import HTTPResponse, IncompleteRead, RemoteDisconnected

from hypothesis import strategies as st

PATIENCE_SECONDS = 20.0
FRAMING = {b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"connection"}
"""Headers that say where a request ends."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``status`` is 0 where the server closed the connection without an answer."""

    status: int
    type: str
    body: bytes

    @property
    def is_problem(self) -> bool:
        """Whether the body is a problem with a detail."""
        return self.type == "application/problem+json" and bool(json.loads(self.body)["detail"])


def send(port: int, request: bytes, *, incomplete: bool = False) -> Answer:
    """One request on a connection of its own; its answer is read to its end. Raises TimeoutError where nothing ends.

    ``incomplete``: more is announced than is sent, so the client's end is closed; it need not be answered.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as connection:
        with contextlib.suppress(OSError):  # refused before it was read to its end: the answer is there all the same
            connection.sendall(request)
            if incomplete:
                connection.shutdown(socket.SHUT_WR)
        # Not until the connection's end: after a refused request Envoy keeps that for a second, for what is under way.
        answer = HTTPResponse(connection, method=request.split(maxsplit=1)[0].decode())
        try:
            answer.begin()
        except (RemoteDisconnected, ConnectionResetError):
            return Answer(0, "", b"")
        try:
            return Answer(answer.status, answer.headers.get_content_type(), answer.read())
        except IncompleteRead:
            if not incomplete:
                raise
            # Envoy knows no half-closed HTTP/1 connection: it drops what it has not yet written to one.
            return Answer(answer.status, "", b"")


TOKENS = st.from_regex(rb"[A-Za-z][A-Za-z0-9!#$%&'*+.^`|~_-]{0,30}", fullmatch=True)
VALUES = st.binary(max_size=60).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b""))
KNOWN = st.sampled_from(
    b"""
    Accept Accept-Encoding Connection Content-Encoding Content-Length Content-Type Cookie Expect Forwarded
    Idempotency-Key If-Match If-None-Match Last-Event-ID Range TE Trailer Transfer-Encoding Upgrade X-Canary
    X-Envoy-Upstream-Rq-Timeout-Ms X-Forwarded-For X-Request-Id X-Tenant-ID Authorization traceparent tracestate
    baggage X-User-ID X-HTTP-Method-Override X-Original-URL grpc-timeout Host Via Upgrade-Insecure-Requests
    """.split()
)
LIKELY_VALUES = st.just(b"") | st.sampled_from(
    b"""
    */* text/event-stream application/json application/grpc chunked gzip identity close keep-alive 100-continue 0 -1
    4294967296 bytes=0- websocket h2c acme globex _public acme,globex ../acme %2e%2e 1S 00-0-0-00 Bearer \xc3\xa9
    """.split()
)
HEADERS = st.lists(st.tuples(KNOWN | TOKENS, LIKELY_VALUES | VALUES), max_size=6)
METHODS = st.sampled_from([b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"HEAD", b"OPTIONS"])
_SEGMENTS = st.sampled_from(
    [
        b"api", b"v1", b"conversations", b"messages", b"events", b"knowledge", b"documents", b"content", b"search",
        b"usage", b"identity", b"openapi.json", b"..", b".", b"%2e%2e", b"%00", b"%zz", b"%c3%28", b"0",
        b"0af76519-16cd-43dd-8448-eb211c80319c", b"x" * 200,
    ]
)  # fmt: skip
_QUERIES = st.sampled_from([b"limit", b"cursor", b"external_id", b"from", b"to", b"window", b"x"])
PATHS = st.builds(
    lambda begin, segments, query: b"/" + b"/".join([*begin, *segments]) + query,
    st.sampled_from([[b"api", b"v1", b"conversations"], [b"api", b"v1", b"knowledge", b"documents"], [b"api"], []]),
    st.lists(_SEGMENTS, max_size=3),
    st.just(b"")
    | st.builds(
        lambda name, value: b"?" + name + b"=" + value.hex().encode(),
        _QUERIES,
        st.binary(max_size=8),
    )
    | st.builds(
        lambda name, value: b"?" + name + b"=" + value, _QUERIES, st.sampled_from([b"0", b"-1", b"%00", b"9" * 40])
    ),
)


def request(method: bytes, path: bytes, headers: list[tuple[bytes, bytes]], body: bytes = b"") -> bytes:
    """A request as bytes; its length is right unless ``headers`` contradict it."""
    names = {name.lower() for name, _ in headers}
    own = [(b"Host", b"localhost"), (b"Connection", b"close")]
    if body and not names & {b"content-length", b"transfer-encoding"}:
        own.append((b"Content-Length", str(len(body)).encode()))
    lines = [name + b": " + value for name, value in [*own, *headers]]
    return b"\r\n".join([method + b" " + path + b" HTTP/1.1", *lines, b"", b""]) + body


BOUNDARY = b"X-boundary"
_PART_HEADERS = st.sampled_from(
    [
        b'Content-Disposition: form-data; name="file"; filename="x.md"', b"Content-Disposition: form-data",
        b'Content-Disposition: form-data; name="title"', b'Content-Disposition: form-data; name="file"',
        b"Content-Disposition: form-data; name=file; filename*=UTF-8''%e2%82%ac.html", b"Content-Type: text/html",
        b"Content-Type: application/json", b"Content-Type: text/plain; charset=utf-16", b"Content-Type", b":", b"",
        b'Content-Disposition: attachment; name="file"; filename="../../x.md"', b"Content-Transfer-Encoding: base64",
    ]
)  # fmt: skip
_CONTENTS = st.sampled_from(
    [b"", b"# T\n\ntext", b"<p>x<p>", b"{}", b'{"content": "x"}', b"\xff\xfe", b"\0", b"--", b"--X-boundary"]
) | st.binary(max_size=80)
_PARTS = st.builds(
    lambda headers, content: b"\r\n".join([*headers, b"", content]), st.lists(_PART_HEADERS, max_size=3), _CONTENTS
)
FORMS = st.builds(
    lambda parts, between, end: b"".join(b"--" + BOUNDARY + between + part + b"\r\n" for part in parts) + end,
    st.lists(_PARTS, max_size=4),
    st.sampled_from([b"\r\n", b"\n", b"", b"  \r\n"]),
    st.sampled_from([b"--X-boundary--\r\n", b"--X-boundary--", b"--X-boundary", b"", b"--X-boundary--trailing"]),
)
FORM_TYPES = st.sampled_from(
    [b"multipart/form-data; boundary=X-boundary"] * 6
    + [
        b'multipart/form-data; boundary="X-boundary"', b"multipart/form-data", b"multipart/form-data; boundary=",
        b"multipart/mixed; boundary=X-boundary", b"multipart/form-data; boundary=" + b"y" * 300,
    ]
)  # fmt: skip
