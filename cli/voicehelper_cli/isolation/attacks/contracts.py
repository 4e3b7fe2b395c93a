"""Every method of every gRPC contract, from the generated descriptors, with fields filled by their names."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from voicehelper_core import gen

from voicehelper_cli.isolation.attacks.values import Values


@dataclass(frozen=True, slots=True)
class Method:
    """``path`` is ``/package.Service/Method``."""

    service: str
    name: str
    path: str
    request: Any
    streaming: bool


def methods() -> Iterator[Method]:
    """All of them, by service."""
    for module in pkgutil.walk_packages(gen.__path__, f"{gen.__name__}."):
        if not module.name.endswith("_pb2"):
            continue
        for service in importlib.import_module(module.name).DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                path = f"/{service.full_name}/{method.name}"
                request = GetMessageClass(method.input_type)
                yield Method(service.full_name, method.name, path, request, bool(method.server_streaming))


def fill(method: Method, values: Values) -> bytes:
    """A request with our values wherever a field has one of our names; ``id`` is that of the service's resource."""
    message = method.request()
    for field in method.request.DESCRIPTOR.fields:
        if field.is_repeated or field.type == FieldDescriptor.TYPE_MESSAGE:
            continue
        if field.type == FieldDescriptor.TYPE_STRING:
            setattr(message, field.name, _text(method, field.name, values))
        elif field.type == FieldDescriptor.TYPE_BYTES:
            setattr(message, field.name, b"mine")
    return bytes(message.SerializeToString())


def _text(method: Method, name: str, values: Values) -> str:
    if name == "id":
        return values.known["conversation_id" if "Conversation" in method.service else "document_id"]
    fixed = {
        "mode": "", "cursor": "", "from": "", "to": "", "media_type": "text/markdown", "role": "member",
        "scope": "probe", "resource": "users", "action": "read", "content": "mine",
        "query": "the code word of the vault",
        "question": "What is the code word of the vault?", "spec_json": "{}", "quota_json": '{"users": 1}',
        "admin_password": "Passw0rd-of-nobody", "admin_email": "nobody@example.com", "access_token": "x",
        "refresh_token": "x", "password": "Passw0rd-of-nobody", "display_name": "mine",
        "title": "mine", "model": "",
    }  # fmt: skip
    return fixed.get(name, values.known.get(name, "mine"))
