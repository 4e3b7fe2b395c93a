"""A resource as the xDS server handles it: a name, a version that follows from the content, and the message."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from google.protobuf import json_format
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message


@dataclass(frozen=True)
class Resource:
    """``version`` is a hash of the content, so a restarted server sends nothing that Envoy has already."""

    kind: type[Message]
    name: str
    content: dict[str, Any] = field(repr=False)

    @cached_property
    def version(self) -> str:
        """Sixteen hexadecimal digits."""
        document = json.dumps(self.content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(document.encode()).hexdigest()[:16]

    @cached_property
    def message(self) -> AnyMessage:
        """The packed message. Raises json_format.ParseError when the content is no such message."""
        packed = AnyMessage()
        packed.Pack(json_format.ParseDict(self.content, self.kind()), deterministic=True)
        return packed
