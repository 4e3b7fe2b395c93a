"""Rows to the columns of Milvus' messages, and back."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from voicehelper_core.milvus.wire import common_pb2, schema_pb2

Kind = Literal["Int64", "VarChar", "FloatVector"]
_SCALARS = {"long_data", "int_data", "string_data", "bool_data", "float_data", "double_data"}


@dataclass(frozen=True, slots=True)
class Column:
    """A field of a collection. ``size`` is the length of a text in bytes, or the dimension of a vector."""

    name: str
    kind: Kind
    size: int | None = None
    primary: bool = False
    """The key, which Milvus numbers by itself."""


def pairs(values: Mapping[str, object]) -> list[Any]:
    """Key-value pairs as Milvus takes them."""
    return [common_pb2.KeyValuePair(key=key, value=str(value)) for key, value in values.items()]


def schema(collection: str, columns: Sequence[Column]) -> Any:
    """The CollectionSchema; no fields but the named ones are taken."""
    fields = []
    for column in columns:
        size = {"VarChar": "max_length", "FloatVector": "dim"}.get(column.kind)
        fields.append(
            schema_pb2.FieldSchema(
                name=column.name,
                data_type=schema_pb2.DataType.Value(column.kind),
                is_primary_key=column.primary,
                autoID=column.primary,
                type_params=pairs({size: column.size}) if size else [],
            )
        )
    return schema_pb2.CollectionSchema(name=collection, fields=fields, autoID=True)


def columns(rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """FieldData of rows that all have the same keys: text, whole numbers and vectors. Raises TypeError for others."""
    return [_column(name, [row[name] for row in rows]) for name in rows[0]]


def _column(name: str, values: list[Any]) -> Any:
    first = values[0]
    field = schema_pb2.FieldData(field_name=name)
    if isinstance(first, str):
        field.type = schema_pb2.DataType.VarChar
        field.scalars.string_data.data.extend(values)
    elif isinstance(first, int):
        field.type = schema_pb2.DataType.Int64
        field.scalars.long_data.data.extend(values)
    elif isinstance(first, Sequence):
        field.type = schema_pb2.DataType.FloatVector
        field.vectors.dim = len(first)
        for vector in values:
            field.vectors.float_vector.data.extend(vector)
    else:
        raise TypeError(f"column '{name}' holds {type(first).__name__}")
    return field


def placeholder(vector: Sequence[float]) -> bytes:
    """The searched vector, as search requests carry it."""
    value = common_pb2.PlaceholderValue(
        tag="$0",
        type=common_pb2.PlaceholderType.FloatVector,
        values=[struct.pack(f"<{len(vector)}f", *vector)],
    )
    return bytes(common_pb2.PlaceholderGroup(placeholders=[value]).SerializeToString())


def values(field: Any) -> list[Any]:
    """Values of a column of an answer. Raises TypeError for kinds that we do not store."""
    if field.type == schema_pb2.DataType.FloatVector:
        numbers, width = list(field.vectors.float_vector.data), field.vectors.dim
        return [numbers[first : first + width] for first in range(0, len(numbers), width)]
    kind = field.scalars.WhichOneof("data")
    if kind is None:
        return []
    if kind not in _SCALARS:
        raise TypeError(f"column '{field.field_name}' holds {kind}")
    return list(getattr(field.scalars, kind).data)


def records(fields: Sequence[Any]) -> list[dict[str, Any]]:
    """The rows of an answer's columns."""
    by_name = {field.field_name: values(field) for field in fields}
    return [dict(zip(by_name, row, strict=True)) for row in zip(*by_name.values(), strict=True)]
