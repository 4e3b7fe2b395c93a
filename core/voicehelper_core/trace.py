"""W3C trace context: taken from a request, carried in a context variable, sent along with every call."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

_TRACEPARENT = re.compile(r"^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$")


@dataclass(frozen=True, slots=True)
class Span:
    """One unit of work of a trace. ``trace_id`` has 32 hexadecimal digits, ``span_id`` 16."""

    trace_id: str
    span_id: str
    parent_id: str | None = None
    flags: str = "01"

    @property
    def traceparent(self) -> str:
        """The header to send along."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


_current: ContextVar[Span | None] = ContextVar("span", default=None)


def child_of(traceparent: str | None) -> Span:
    """A span below ``traceparent``, or the first one of a new trace where that is missing or malformed."""
    match = _TRACEPARENT.match(traceparent or "")
    if match is None or set(match[1]) == {"0"} or set(match[2]) == {"0"}:
        return Span(secrets.token_hex(16), secrets.token_hex(8))
    return Span(match[1], secrets.token_hex(8), parent_id=match[2], flags=match[3])


def extract(headers: Mapping[str, str]) -> Span:
    """A span for the request with these (lower-case) headers."""
    return child_of(headers.get("traceparent"))


def current() -> Span | None:
    """The running span."""
    return _current.get()


def inject() -> str:
    """``traceparent`` for an outgoing call or an event; starts a trace where there is none."""
    return (_current.get() or child_of(None)).traceparent


@contextmanager
def use(span: Span) -> Iterator[Span]:
    """Run the block within ``span``."""
    token = _current.set(span)
    try:
        yield span
    finally:
        _current.reset(token)
