"""What reads bytes of strangers. A target returns for what it accepts or refuses, and raises for a defect."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True, slots=True)
class Target:
    """``run`` takes an input; ``modules`` are those whose branches guide the search."""

    name: str
    run: Callable[[bytes], None]
    modules: tuple[str, ...]

    @property
    def seeds(self) -> list[Path]:
        """Small inputs to begin with; every defect that was found is one of them."""
        return sorted((CORPUS / self.name).iterdir())


def resource(data: bytes) -> None:
    """A manifest: refused with the place and the reason, or a resource that reads the same again."""
    from voicehelper_cli import manifests
    from voicehelper_cli.failures import Failure
    from voicehelper_crds.validation import ValidationFailed, validate

    try:
        documents = [manifest.document for manifest in manifests.parse(data, "input")]
    except Failure:
        return
    for document in documents:
        try:
            made = validate(document)
        except ValidationFailed as error:
            assert error.errors, "refused without a reason"
            assert all(item["reason"] for item in error.errors), "refused without a reason"
            continue
        again = made.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"status"})
        assert validate(again) == made, "another resource after a round trip"


@cache
def _keys() -> Any:
    from joserfc.jwk import KeySet, OKPKey

    # A key of nobody, the same in every run, so that inputs can be replayed.
    private = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "kid": "k", **_PAIR})
    return KeySet([private])


_PAIR = {  # RFC 8037, appendix A.1
    "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}


def token(data: bytes) -> None:
    """A token that we did not sign is refused; three parts may be given in clear, separated by ``|``."""
    from voicehelper_core import auth
    from voicehelper_core.errors import Unauthenticated

    parts = data.split(b"|")
    if len(parts) == 3:
        data = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    try:
        text = auth.bearer("Bearer " + data.decode("latin-1"))
        claims = auth.decode(text, _keys())
    except Unauthenticated as error:
        assert error.detail
        return
    raise AssertionError(f"accepted: {claims}")


def trace_context(data: bytes) -> None:
    """A ``traceparent`` header: one that is wrong begins a new trace, and what goes on is always well formed."""
    from voicehelper_core import trace

    made = trace.child_of(data.decode("latin-1")).traceparent
    version, trace_id, span_id, flags = made.split("-")
    assert (version, len(trace_id), len(span_id), len(flags)) == ("00", 32, 16, 2), made


def cursor(data: bytes) -> None:
    """Cursors of all lists: as ours would be, plain or (after ``|``) wrapped like one."""
    from voicehelper_cell import pagination as cell
    from voicehelper_control_plane import pagination as identity
    from voicehelper_core.errors import InvalidArgument

    text = data.decode("latin-1")
    if text.startswith("|"):
        text = base64.urlsafe_b64encode(data[1:]).decode().rstrip("=")
    for read in (cell.decode_time, cell.decode_number, lambda given: identity.decode(given, 2)):
        try:
            read(text)
        except InvalidArgument as error:
            assert error.detail


def multipart(data: bytes) -> None:
    """An upload: the first line is its content type, the rest its body, which comes in two pieces."""
    from starlette.requests import Request
    from voicehelper_cell.web import uploads
    from voicehelper_core.errors import AppError

    kind, _, body = data.partition(b"\n")
    middle = len(body) // 2
    pieces = [
        {"type": "http.request", "body": body[:middle], "more_body": True},
        {"type": "http.request", "body": body[middle:], "more_body": False},
    ]

    async def receive() -> dict[str, Any]:
        return pieces.pop(0) if pieces else {"type": "http.disconnect"}

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": [(b"content-type", kind)]}

    async def read() -> None:
        try:
            given = await uploads.read(Request(scope, receive), 2000)
        except AppError as error:
            assert error.status < 500, error
            assert error.detail
            return
        assert len(given.content) <= 2000

    asyncio.run(read())


def document(data: bytes) -> None:
    """A document of the media type in its first line, through text to passages and terms."""
    from voicehelper_cell.indexing.chunking import chunks
    from voicehelper_cell.knowledge import extract
    from voicehelper_cell.retrieval.terms import MAX_TERM, terms
    from voicehelper_core.errors import AppError

    kind, _, body = data.partition(b"\n")
    try:
        made = extract.extract(extract.media_type(kind.decode("latin-1")), body)
    except AppError as error:
        assert error.status < 500, error
        assert error.detail
        return
    made.text.encode()  # storable
    assert "\0" not in made.text
    assert len(made.title) <= extract.MAX_TITLE
    end, kept = 0, []
    for chunk in chunks(made.text):
        assert end <= chunk.start < chunk.end, "passages overlap or are empty"
        assert chunk.text == made.text[chunk.start : chunk.end], "a passage is not a slice of the text"
        assert len(max(terms(chunk.text), key=len, default="")) <= MAX_TERM
        end = chunk.end
        kept.append(chunk.text)
    assert "".join("".join(kept).split()) == "".join(made.text.split()), "text is in no passage"


def event(data: bytes) -> None:
    """A record's value: an event that reads the same again, a dead letter, or none of ours; never a failed batch."""
    from voicehelper_analytics.sink import batches
    from voicehelper_core.events import Envelope, EventError

    parsed = batches.parse([batches.Record("ctest0000001.conversation.events", 0, 0, data)])
    assert all(letter.reason for letter in parsed.dead)
    try:
        made = Envelope.parse(data)
    except EventError as error:
        assert str(error)
        return
    assert Envelope.parse(made.to_json()) == made, "another event after a round trip"


def server_events(data: bytes) -> None:
    """A stream of server-sent events: the same events however it is cut."""
    from voicehelper_cli.sse import Parser

    text = data.decode("utf-8", "replace")
    whole, byte_by_byte = Parser(), Parser()
    at_once = list(whole.feed(text))
    piecewise = [found for character in text for found in byte_by_byte.feed(character)]
    assert at_once == piecewise, "the cut of the stream matters"


TARGETS = {
    target.name: target
    for target in (
        Target("resource", resource, ("voicehelper_cli.manifests", "voicehelper_crds", "yaml")),
        Target("token", token, ("voicehelper_core.auth", "joserfc")),
        Target("traceparent", trace_context, ("voicehelper_core.trace",)),
        Target("cursor", cursor, ("voicehelper_cell.pagination", "voicehelper_control_plane.pagination")),
        Target("multipart", multipart, ("voicehelper_cell.web.uploads", "starlette.formparsers", "python_multipart")),
        Target("document", document, ("voicehelper_cell.knowledge.extract", "voicehelper_cell.indexing.chunking")),
        Target("event", event, ("voicehelper_core.events", "voicehelper_analytics.sink.batches")),
        Target("sse", server_events, ("voicehelper_cli.sse",)),
    )
}
