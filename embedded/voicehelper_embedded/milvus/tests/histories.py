"""Collections that were written, replaced, deleted from and flushed, in any order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from milvus_lite.db import MilvusLite
from milvus_lite.schema.types import CollectionSchema, DataType, FieldSchema

DIMENSION, KEYS = 8, 60
PARTITIONS = ("a", "b")
SCHEMA = CollectionSchema(
    fields=[
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("name", DataType.VARCHAR, max_length=64),
        FieldSchema("embedding", DataType.FLOAT_VECTOR, dim=DIMENSION),
    ]
)
write = st.tuples(
    st.just("write"), st.sampled_from(PARTITIONS), st.lists(st.integers(0, KEYS - 1), min_size=1, max_size=25)
)
delete = st.tuples(
    st.just("delete"), st.sampled_from(PARTITIONS), st.lists(st.integers(0, KEYS - 1), min_size=1, max_size=40)
)
flush = st.tuples(st.just("flush"), st.none(), st.none())
histories = st.lists(st.one_of(write, write, delete, flush), max_size=14)


def made(database: MilvusLite, metric: str, kind: str = "FLAT") -> Any:
    if database.has_collection("c"):
        database.drop_collection("c")
    made = database.create_collection("c", SCHEMA)
    for partition in PARTITIONS:
        made.create_partition(partition)
    made.create_index("embedding", {"index_type": kind, "metric_type": metric, "params": {}})
    made.load()
    return made


def play(table: Any, steps: Sequence[Any], random: np.random.Generator) -> None:
    """Do the steps; vectors are drawn."""
    for step, partition, keys in steps:
        if step == "flush":
            table.flush()
        elif step == "delete":
            table.delete(keys, partition_name=partition)
        else:
            rows = random.standard_normal((len(keys), DIMENSION))
            records = [
                {"id": key, "name": f"{partition}{key}", "embedding": row.tolist()}
                for key, row in dict(zip(keys, rows, strict=True)).items()
            ]
            table.upsert(records, partition_name=partition)
    table._wait_for_bg()
