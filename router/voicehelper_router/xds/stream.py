"""Brings one Envoy to the current snapshot in an order that never leaves a tenant without a route.

Make before break: clusters, then route configurations together with the scopes that hold them, then (once those are
acknowledged) tenants' scopes; what is not needed any more goes in the opposite order. Level-based: each step follows
from what Envoy has and what it should have, so a lost connection or a newer snapshot just changes the next step.

An Envoy that starts with nothing gets all scopes at once: it serves nobody before it has all that they name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from voicehelper_router import types
from voicehelper_router.xds import scopes
from voicehelper_router.xds.resource import Resource
from voicehelper_router.xds.scopes import Scope
from voicehelper_router.xds.snapshot import Snapshot
from voicehelper_router.xds.subscription import Subscription


@dataclass(frozen=True)
class Response:
    """A delta to send."""

    type_url: str
    nonce: str
    resources: list[Resource]
    removed: list[str]


@dataclass(frozen=True)
class Rejection:
    """A NACK. ``names`` are to blame; empty while that is being found out."""

    type_url: str
    reason: str
    names: list[str]


@dataclass(eq=False)
class Stream:
    """State of one connected Envoy."""

    types: dict[str, Subscription] = field(default_factory=dict)
    node: str = ""
    """Which Envoy it is."""
    _count: int = 0
    _settled: Snapshot | None = None

    def request(
        self,
        type_url: str,
        *,
        subscribe: list[str],
        unsubscribe: list[str],
        known: Mapping[str, str],
        nonce: str,
        error: str | None,
    ) -> Rejection | None:
        """Take in what Envoy says; one message may both subscribe and answer."""
        self._settled = None
        state = self.types.get(type_url)
        if state is None:
            state = self.types[type_url] = Subscription(wildcard=not subscribe, held=dict(known), fresh=not known)
        state.subscribe(subscribe, known)
        state.unsubscribe(unsubscribe)
        if not nonce or state.pending is None or state.pending.nonce != nonce:
            return None
        if error is None:
            state.acknowledge()
            return None
        return Rejection(type_url, error, state.reject())

    def next(self, snapshot: Snapshot) -> list[Response]:
        """What can be sent now; empty when Envoy has to answer first, or has everything."""
        if self._settled is snapshot:
            return []
        self._want(snapshot)
        responses = [
            response for response in (self._clusters(), self._routes(), self._scopes()) if response is not None
        ]
        if not responses and not any(state.pending for state in self.types.values()):
            self._settled = snapshot
        return responses

    def has(self, snapshot: Snapshot | None) -> bool:
        """Whether Envoy has everything of it (but what it rejected)."""
        return snapshot is not None and self._settled is snapshot

    def acknowledged(self, scope: str, version: str | None) -> bool:
        """Whether Envoy has this version of a scope (None: not the scope), and no other one is on its way."""
        state = self.types.get(types.SCOPE)
        return state is not None and not state.travelling(scope) and state.held.get(scope) == version

    def uses(self, version: str) -> bool:
        """Whether Envoy has a tenant's scope of this version, or is being sent one."""
        state = self.types.get(types.SCOPE)
        if state is None:
            return False
        sent = state.pending.versions if state.pending else {}
        return any(
            found == version and not scopes.is_hold(name) for each in (state.held, sent) for name, found in each.items()
        )

    def _want(self, snapshot: Snapshot) -> None:
        if (state := self.types.get(types.CLUSTER)) is not None:
            state.want(snapshot.clusters)
        if (state := self.types.get(types.ROUTES)) is not None:
            state.want(snapshot.routes)
        if (state := self.types.get(types.SCOPE)) is not None:
            change = snapshot.change
            state.want(snapshot.scopes, change.names if change and state.wants(change.since) else None)

    def _clusters(self) -> Response | None:
        state = self.types.get(types.CLUSTER)
        if state is None or state.pending:
            return None
        # Clusters go last: when nothing that Envoy holds can name them any more.
        quiet = self._there(types.SCOPE) and self._there(types.ROUTES)
        return self._respond(types.CLUSTER, state, state.due, state.surplus if quiet else [])

    def _routes(self) -> Response | None:
        state = self.types.get(types.ROUTES)
        if state is None or state.pending or not self._clusters_there():
            return None
        return self._respond(types.ROUTES, state, state.due, [])

    def _scopes(self) -> Response | None:
        state = self.types.get(types.SCOPE)
        if state is None or state.pending or not self._clusters_there():
            return None
        due = state.due
        if not (state.fresh and not state.answered):
            due = [scope for scope in due if isinstance(scope, Scope) and self._sendable(scope)]
        # A keep-alive scope may go at once: a tenant's scope that still names its configuration keeps that, too.
        return self._respond(types.SCOPE, state, due, state.surplus)

    def _respond(self, type_url: str, state: Subscription, due: list[Resource], surplus: list[str]) -> Response | None:
        if state.limit:
            due = due[: state.limit]
            state.limit = state.limit if due else None
        if not due and not surplus and state.answered:
            return None
        if not due and not surplus and not state.fresh:
            return None  # a reconnected Envoy that has everything waits for nothing
        self._count += 1
        response = Response(type_url, f"{self._count}", due, surplus)
        state.sending(response.nonce, due, surplus)
        return response

    def _sendable(self, scope: Scope) -> bool:
        """Whether it is a keep-alive scope, or Envoy holds the configuration that it names."""
        state = self.types.get(types.ROUTES)
        return scopes.is_hold(scope.name) or (state is not None and scope.configuration in state.held)

    def _clusters_there(self) -> bool:
        """No cluster is missing. Envoy asks for them first; on a new stream that request may be on its way."""
        state = self.types.get(types.CLUSTER)
        return state is not None and not state.due

    def _there(self, type_url: str) -> bool:
        """Envoy acknowledged all of the type, removals included."""
        state = self.types.get(type_url)
        return state is not None and not state.pending and not state.due and not state.surplus
