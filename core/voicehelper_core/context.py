"""Who a piece of work is done for. Made only from a verified token or an envelope on the cell's own topic."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TenantContext:
    """The tenant and the user of a call.

    No repository, key, path or topic builder works without one, and it never is a parameter that a model
    or a tool could fill in.
    """

    tenant_id: str
    tenant: str
    user_id: str
    cell_id: str
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)


_current: ContextVar[TenantContext | None] = ContextVar("tenant_context", default=None)


def current() -> TenantContext:
    """The context of the running call. Raises LookupError outside of one: deny by default."""
    context = _current.get()
    if context is None:
        raise LookupError("no TenantContext: this code runs outside of a verified call")
    return context


def current_or_none() -> TenantContext | None:
    """For logs only."""
    return _current.get()


@contextmanager
def use(context: TenantContext) -> Iterator[TenantContext]:
    """Run the block on behalf of ``context``."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)
