"""A resource as the xDS server handles it: a name, a version that follows from the content, and the message."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from google.protobuf import json_format
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message


class Resource(Protocol):
    """``version`` follows from the content, so a restarted server sends nothing that Envoy has already."""

    @property
    def kind(self) -> type[Message]:
        """Class of the message."""

    @property
    def name(self) -> str:
        """Unique among its kind."""

    @property
    def content(self) -> dict[str, Any]:
        """The message as JSON has it."""

    @property
    def version(self) -> str:
        """Another one for every other content."""

    @property
    def message(self) -> AnyMessage:
        """The packed message. Raises json_format.ParseError when the content is no such message."""


def digest(content: dict[str, Any]) -> str:
    """Sixteen hexadecimal digits."""
    document = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(document.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Rendered:
    """A resource of which there are few: made from its JSON."""

    kind: type[Message]
    name: str
    content: dict[str, Any] = field(repr=False)

    @cached_property
    def version(self) -> str:
        """Hash of the content."""
        return digest(self.content)

    @cached_property
    def message(self) -> AnyMessage:
        """The packed message. Raises json_format.ParseError when the content is no such message."""
        packed = AnyMessage()
        packed.Pack(json_format.ParseDict(self.content, self.kind()), deterministic=True)
        return packed
