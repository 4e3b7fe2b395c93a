"""What one Envoy has of one type of resource, and what it was sent and has not answered yet."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from voicehelper_router.xds.resource import Resource


@dataclass
class Sent:
    """A response on its way."""

    nonce: str
    versions: dict[str, str]
    removed: list[str]


@dataclass
class Subscription:
    """State of one type on one stream."""

    wildcard: bool
    names: set[str] = field(default_factory=set)
    """Subscribed names, where not all."""
    held: dict[str, str] = field(default_factory=dict)
    """Versions that Envoy acknowledged."""
    refused: dict[str, str] = field(default_factory=dict)
    """Versions that Envoy rejected: not sent again until the content changes."""
    pending: Sent | None = None
    """One response at a time: the next one waits for its acknowledgement."""
    answered: bool = False
    """Whether anything was sent; Envoy waits for a first answer, even an empty one."""
    fresh: bool = True
    """Whether Envoy began with nothing (it did not merely reconnect)."""
    limit: int | None = None
    """Resources in one response while a bad one is being isolated."""

    def subscribe(self, names: Iterable[str], known: Mapping[str, str]) -> None:
        """Names that Envoy asks for (again): sent even if it had them, unless it says that it still has."""
        for name in names:
            if name == "*":
                self.wildcard = True
                continue
            self.names.add(name)
            if name not in known:
                self.held.pop(name, None)
                self.refused.pop(name, None)

    def unsubscribe(self, names: Iterable[str]) -> None:
        """Envoy forgets them by itself."""
        for name in names:
            self.names.discard(name)
            self.held.pop(name, None)
            if self.pending:
                self.pending.versions.pop(name, None)

    def due(self, wanted: Mapping[str, Resource]) -> list[Resource]:
        """Resources that Envoy lacks or has in another version, and has not rejected."""
        names: Iterable[str] = wanted if self.wildcard else (name for name in self.names if name in wanted)
        return [
            wanted[name]
            for name in names
            if self.held.get(name) != wanted[name].version and self.refused.get(name) != wanted[name].version
        ]

    def surplus(self, wanted: Collection[str]) -> list[str]:
        """Resources that Envoy has and should not have."""
        return [name for name in self.held if name not in wanted]

    def sending(self, nonce: str, resources: list[Resource], removed: list[str]) -> None:
        """Remember what is on its way."""
        self.answered = True
        self.pending = Sent(nonce, {item.name: item.version for item in resources}, removed)

    def acknowledge(self) -> None:
        """Envoy took the pending response."""
        if self.pending is None:
            return
        self.held.update(self.pending.versions)
        for name in self.pending.removed:
            self.held.pop(name, None)
        for name in self.pending.versions:
            self.refused.pop(name, None)
        self.pending = None

    def reject(self) -> list[str]:
        """Envoy refused the pending response: isolate the resource that is to blame; its name, once found.

        Envoy rejects a response as a whole, good resources included, so halves are sent until one is left.
        """
        if self.pending is None:
            return []
        versions, removed, self.pending = self.pending.versions, self.pending.removed, None
        for name in removed:
            self.held.pop(name, None)
        if len(versions) > 1:
            self.limit = max(1, len(versions) // 2)
            return []
        self.refused.update(versions)
        return list(versions)
