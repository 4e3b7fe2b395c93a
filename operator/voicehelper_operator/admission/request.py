"""One question of the API server, and who asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Operation = Literal["CREATE", "UPDATE", "DELETE"]
Body = Mapping[str, Any]
GARBAGE_COLLECTORS = frozenset(
    {"system:serviceaccount:kube-system:generic-garbage-collector", "system:kube-controller-manager"}
)
"""They write owner references themselves; the second where controllers have no accounts of their own."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why, and what to do; ``code`` is HTTP's. ``seen`` says whether it rests on what was seen of other objects."""

    message: str
    code: Literal[403, 409, 422]
    seen: bool = True


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody wants to do. ``old`` and ``new`` are as the API server has them: it has validated ``new``."""

    operation: Operation
    kind: str
    old: Body | None
    new: Body | None
    user: str
    groups: frozenset[str] = field(default=frozenset())

    @property
    def name(self) -> str:
        """Of the object. One that the API server is to find a name for has none yet."""
        return str(self._meta.get("name", ""))

    @property
    def shown(self) -> str:
        """For messages."""
        return f"{self.kind} '{self.name}'"

    @property
    def leaving(self) -> bool:
        """Whether the object is being deleted already."""
        return bool((self.old or {}).get("metadata", {}).get("deletionTimestamp"))

    @property
    def spec_changed(self) -> bool:
        """True for a new object, too."""
        return (self.old or {}).get("spec") != (self.new or {}).get("spec")

    @property
    def _meta(self) -> Body:
        found: Body = (self.new or self.old or {}).get("metadata", {})
        return found


@dataclass(frozen=True, slots=True)
class Trust:
    """The operator's own user, identity's, and the users and groups that administer the cluster."""

    operator: str
    identity: str
    administrators: frozenset[str]

    def is_operator(self, request: Request) -> bool:
        """Whether the operator itself asks."""
        return request.user == self.operator

    def is_administrator(self, request: Request) -> bool:
        """Whether an administrator asks, or the operator."""
        return self.is_operator(request) or bool({request.user, *request.groups} & self.administrators)
