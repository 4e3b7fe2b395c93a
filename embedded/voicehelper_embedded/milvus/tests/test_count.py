"""The quicker count is the number of rows that the library's own query finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from milvus_lite.adapter.grpc.server import start_server_in_thread
from milvus_lite.adapter.grpc.servicer import MilvusServicer
from milvus_lite.db import MilvusLite
from voicehelper_core.milvus import MilvusClient, MilvusError
from voicehelper_core.milvus.client import NOT_LOADED
from voicehelper_embedded.milvus.count import count, counting, install
from voicehelper_embedded.milvus.tests.histories import DIMENSION, histories, made, play


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=histories,
    expression=st.sampled_from(["", 'name == "a7"', "id > 20", 'name like "b%" and id < 40']),
    partitions=st.sampled_from([None, ["a"], ["b"], ["a", "b"]]),
)
def test_any_history_is_counted_alike(
    database: MilvusLite, steps: list[Any], expression: str, partitions: list[str] | None
) -> None:
    table = made(database, "IP")
    play(table, steps, np.random.default_rng(7))
    assert count(table, expression, partitions) == len(table.query(expression or None, partition_names=partitions))


def test_it_is_put_in_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MilvusServicer, "Query", MilvusServicer.Query)
    install()
    with pytest.raises(ImportError):
        install()


async def test_a_client_is_told_the_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unread(*_: Any, **__: Any) -> None:
        raise AssertionError("rows were read to be counted")

    monkeypatch.setattr(MilvusServicer, "Query", counting(MilvusServicer.Query))
    server, database, port = start_server_in_thread(str(tmp_path / "db"))
    table = made(database, "IP")
    rows = [{"id": key, "name": f"n{key % 3}", "embedding": [1.0] * DIMENSION} for key in range(30)]
    table.insert(rows, partition_name="a")
    client = MilvusClient(f"http://127.0.0.1:{port}")
    try:
        with monkeypatch.context() as patched:
            patched.setattr(type(table), "query", unread)
            found = await client.query("c", filter='name == "n1"', output_fields=["count(*)"], partition_names=["a"])
            assert found == [{"count(*)": 10}]
        found = await client.query("c", filter="id == 7", output_fields=["name"])
        assert [row["name"] for row in found] == ["n1"]
        table.release()
        with pytest.raises(MilvusError) as refused:
            await client.query("c", filter="id > 0", output_fields=["count(*)"])
        assert refused.value.code == NOT_LOADED
    finally:
        await client.close()
        server.stop(None).wait()
        database.close()
