"""Protobuf messages as the JSON of the API."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import MessageToDict


def plain(message: Any) -> dict[str, Any]:
    """All fields, also empty ones, under their own names; 64-bit numbers as numbers."""
    result = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    numbers: dict[str, Any] = _numbers(message, result)
    return numbers


def _numbers(message: Any, result: dict[str, Any]) -> dict[str, Any]:
    """Protobuf's JSON writes 64-bit integers as strings; ours are small enough for every client."""
    for descriptor in message.DESCRIPTOR.fields:
        name = descriptor.name
        if name not in result:
            continue
        value = getattr(message, name)
        if descriptor.message_type is not None:
            nested = list(value) if descriptor.is_repeated else [value]
            shown = result[name] if descriptor.is_repeated else [result[name]]
            for inner, part in zip(nested, shown, strict=True):
                _numbers(inner, part)
        elif descriptor.cpp_type in (descriptor.CPPTYPE_INT64, descriptor.CPPTYPE_UINT64):
            result[name] = list(value) if descriptor.is_repeated else value
    return result
