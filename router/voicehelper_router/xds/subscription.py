"""What one Envoy has of one type of resource, and what it was sent and has not answered yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    """State of one type on one stream. What is due is kept up name by name: a change costs what it changes."""

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
    _wanted: Mapping[str, Resource] = field(default_factory=dict)
    _due: dict[str, None] = field(default_factory=dict)
    _surplus: dict[str, None] = field(default_factory=dict)

    def want(self, wanted: Mapping[str, Resource], changed: Iterable[str] | None = None) -> None:
        """What Envoy should have from now on; only the names in ``changed`` are compared, where they are given."""
        if wanted is self._wanted:
            return
        before, self._wanted = self._wanted, wanted
        if changed is None or not before:
            self._due.clear()
            self._surplus.clear()
            changed = [*wanted, *self.held]
        self._judge(changed)

    def wants(self, wanted: Mapping[str, Resource]) -> bool:
        """Whether that was the last word."""
        return wanted is self._wanted

    def subscribe(self, names: Iterable[str], known: Mapping[str, str]) -> None:
        """Names that Envoy asks for (again): sent even if it had them, unless it says that it still has."""
        for name in names:
            if name == "*":
                self.wildcard = True
                self._judge(self._wanted)
                continue
            self.names.add(name)
            if name not in known:
                self.held.pop(name, None)
                self.refused.pop(name, None)
            self._judge((name,))

    def unsubscribe(self, names: Iterable[str]) -> None:
        """Envoy forgets them by itself."""
        for name in names:
            self.names.discard(name)
            self.held.pop(name, None)
            if self.pending:
                self.pending.versions.pop(name, None)
            self._judge((name,))

    @property
    def due(self) -> list[Resource]:
        """Resources that Envoy lacks or has in another version, and has not rejected."""
        return [self._wanted[name] for name in self._due]

    @property
    def surplus(self) -> list[str]:
        """Resources that Envoy has and should not have."""
        return list(self._surplus)

    def _judge(self, names: Iterable[str]) -> None:
        for name in names:
            wanted, held = self._wanted.get(name), self.held.get(name)
            asked = self.wildcard or name in self.names
            if asked and wanted and wanted.version not in (held, self.refused.get(name)):
                self._due[name] = None
            else:
                self._due.pop(name, None)
            if wanted is None and held is not None:
                self._surplus[name] = None
            else:
                self._surplus.pop(name, None)

    def travelling(self, name: str) -> bool:
        """Whether a response with the resource, or its removal, is on its way."""
        return self.pending is not None and (name in self.pending.versions or name in self.pending.removed)

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
        self._judge([*self.pending.versions, *self.pending.removed])
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
        blamed = list(versions) if len(versions) == 1 else []
        if blamed:
            self.refused.update(versions)
        else:
            self.limit = max(1, len(versions) // 2)
        self._judge([*versions, *removed])
        return blamed
