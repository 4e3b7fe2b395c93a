"""Milvus' generated protobuf messages, which pymilvus brings."""

from __future__ import annotations

from voicehelper_core.parts import part

milvus_pb2, schema_pb2, common_pb2 = (
    part("pymilvus/grpc_gen", name) for name in ("milvus_pb2", "schema_pb2", "common_pb2")
)
