"""The slim client against a real Milvus Lite server, and its requests against those that pymilvus sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from voicehelper_core.milvus import (
    NO_COLLECTION,
    UNREACHABLE,
    Column,
    Index,
    MilvusClient,
    MilvusError,
)
from voicehelper_core.milvus.wire import common_pb2, milvus_pb2
from voicehelper_core.tests.milvus_server import MilvusServer

COLUMNS = (
    Column("id", "Int64", primary=True),
    Column("chunk_id", "VarChar", 64),
    Column("embedding", "FloatVector", 4),
    Column("created_at", "Int64"),
)
ROWS = [{"chunk_id": f"chunk-{n}", "embedding": [float(n), 0.0, 0.0, 1.0], "created_at": 2**40 + n} for n in range(3)]
FILTER = 'chunk_id in ["chunk-0", "chunk-2"]'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    running = MilvusServer(tmp_path_factory.mktemp("milvus"))
    running.start()
    yield running
    running.kill()


@pytest.fixture
async def client(server: MilvusServer) -> AsyncIterator[MilvusClient]:
    client = MilvusClient(server.uri)
    if await client.has_collection("things"):
        await client.drop_collection("things")
    await client.create_collection("things", COLUMNS)
    await client.create_index("things", Index("embedding"))
    await client.load_collection("things")
    await client.create_partition("things", "mine")
    yield client
    await client.close()


async def test_rows_are_found_and_go(client: MilvusClient) -> None:
    assert len(await client.insert("things", ROWS, partition_name="mine")) == 3
    found = await client.search("things", [1.0, 0, 0, 0], limit=2, partition_names=["mine"], output_fields=["chunk_id"])
    assert found == [(2.0, {"chunk_id": "chunk-2"}), (1.0, {"chunk_id": "chunk-1"})]
    rows = await client.query("things", filter=FILTER, output_fields=["chunk_id", "embedding"], limit=10)
    assert [row["embedding"] for row in rows] == [[0.0, 0, 0, 1], [2.0, 0, 0, 1]]
    rows = await client.query("things", filter=FILTER, output_fields=["chunk_id", "created_at"], limit=10)
    assert [(row["chunk_id"], row["created_at"]) for row in rows] == [("chunk-0", 2**40), ("chunk-2", 2**40 + 2)]
    await client.delete("things", filter=FILTER, partition_name="mine")
    await client.flush("things")
    (count,) = await client.query("things", filter="id > 0", output_fields=["count(*)"], partition_names=["mine"])
    assert count == {"count(*)": 1}


async def test_an_empty_partition_finds_nothing(client: MilvusClient) -> None:
    assert await client.insert("things", []) == []
    assert await client.search("things", [1.0, 0, 0, 0], limit=2, partition_names=["mine"]) == []
    assert await client.query("things", filter="id > 0", output_fields=["id"], partition_names=["mine"], limit=1) == []


async def test_what_is_there(client: MilvusClient) -> None:
    assert await client.has_index("things", "embedding")
    assert not await client.has_index("things", "chunk_id")
    assert set(await client.list_partitions("things")) == {"_default", "mine"}
    assert await client.has_partition("things", "mine")
    await client.drop_partition("things", "mine")
    assert not await client.has_partition("things", "mine")
    await client.drop_collection("things")
    assert not await client.has_collection("things")
    with pytest.raises(MilvusError) as none:
        await client.has_index("things", "embedding")
    assert none.value.code == NO_COLLECTION


async def test_an_unindexed_collection_is_known(client: MilvusClient) -> None:
    """A crash between the collection and its index leaves that."""
    await client.drop_collection("things")
    await client.create_collection("things", COLUMNS)
    assert not await client.has_index("things", "embedding")


async def test_what_the_embedded_edition_lacks_is_told_apart(client: MilvusClient) -> None:
    with pytest.raises(MilvusError) as lacking:
        await client.release_partitions("things", ["mine"])
    assert lacking.value.grpc_code is grpc.StatusCode.UNIMPLEMENTED


async def test_a_restarted_server_is_found_again(server: MilvusServer, client: MilvusClient) -> None:
    await client.insert("things", ROWS, partition_name="mine")
    server.kill()
    for _ in range(3):
        with pytest.raises(MilvusError) as away:
            await client.has_collection("things", timeout=2)
        assert away.value.code == UNREACHABLE
    await asyncio.to_thread(server.start)
    async with asyncio.timeout(30):
        while True:
            try:
                assert await client.has_collection("things")
                return
            except MilvusError:
                await asyncio.sleep(0.3)


@pytest.mark.parametrize("uri", ["", "milvus:19530", "https://milvus:19530", "http://milvus"])
def test_a_strange_address_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="http://host:port"):
        MilvusClient(uri)


async def test_columns_of_a_strange_type_are_refused(client: MilvusClient) -> None:
    with pytest.raises(TypeError, match="'chunk_id' holds float"):
        await client.insert("things", [{"chunk_id": 1.5}])


class Recorder(grpc.GenericRpcHandler):
    """Passes everything on to the server and keeps the requests."""

    def __init__(self, port: int) -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.requests: dict[str, list[bytes]] = {}

    def service(self, details: Any) -> Any:
        def handle(request: bytes, call: Any) -> Any:
            self.requests.setdefault(details.method.rpartition("/")[2], []).append(request)
            try:
                return self._channel.unary_unary(details.method)(request)
            except grpc.RpcError as error:
                call.abort(error.code(), error.details())

        return grpc.unary_unary_rpc_method_handler(handle)

    def take(self, method: str) -> list[Any]:
        """Requests since the last time, decoded."""
        decode = getattr(milvus_pb2, f"{method}Request").FromString
        return [decode(raw) for raw in self.requests.pop(method, [])]

    def close(self) -> None:
        self._channel.close()


@pytest.fixture
def recorder(server: MilvusServer) -> Iterator[tuple[Recorder, str]]:
    recorder = Recorder(server.port)
    front = grpc.server(ThreadPoolExecutor(4), handlers=(recorder,))
    port = front.add_insecure_port("127.0.0.1:0")
    front.start()
    yield recorder, f"http://127.0.0.1:{port}"
    front.stop(None).wait()
    recorder.close()


async def test_requests_are_those_of_pymilvus(recorder: tuple[Recorder, str], client: MilvusClient) -> None:
    """The reference says how a server wants to be asked; the collection's bytes, the rows and the searches agree."""
    record, uri = recorder
    await asyncio.to_thread(_reference, uri)
    methods = ("CreateCollection", "CreateIndex", "Insert", "Search", "Query", "Delete", "Flush", "CreatePartition")
    theirs = {method: record.take(method) for method in methods}
    ours = MilvusClient(uri)
    await ours.drop_collection("pairs")
    await ours.create_collection("pairs", COLUMNS)
    await ours.create_index("pairs", Index("embedding", "HNSW", "IP", {"M": 16, "efConstruction": 256}))
    await ours.load_collection("pairs")
    await ours.create_partition("pairs", "mine")
    await ours.insert("pairs", ROWS, partition_name="mine")
    wanted = {"metric_type": "IP", "params": {"ef": 128}}
    found = {"partition_names": ["mine"], "output_fields": ["chunk_id"]}
    await ours.search("pairs", [1.0, 0, 0, 0.5], limit=7, search_params=wanted, filter="created_at > 5", **found)
    await ours.query("pairs", filter=FILTER, limit=100, **found)
    await ours.delete("pairs", filter=FILTER, partition_name="mine")
    await ours.flush("pairs")
    await ours.drop_collection("pairs")
    await ours.close()
    for method, expected in theirs.items():
        assert expected, method
        assert [_plain(item) for item in record.take(method)] == [_plain(item) for item in expected], method


def _reference(uri: str) -> None:
    from pymilvus import DataType
    from pymilvus import MilvusClient as Reference

    client = Reference(uri=uri, timeout=20)
    schema = client.create_schema(auto_id=True, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("chunk_id", DataType.VARCHAR, max_length=64)
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=4)
    schema.add_field("created_at", DataType.INT64)
    index = client.prepare_index_params()
    index.add_index("embedding", index_type="HNSW", metric_type="IP", params={"M": 16, "efConstruction": 256})
    client.create_collection("pairs", schema=schema, index_params=index, consistency_level="Strong")
    client.create_partition("pairs", "mine")
    client.insert("pairs", ROWS, partition_name="mine")
    wanted = {"metric_type": "IP", "params": {"ef": 128}}
    found: dict[str, Any] = {"partition_names": ["mine"], "output_fields": ["chunk_id"]}
    client.search("pairs", data=[[1.0, 0, 0, 0.5]], limit=7, search_params=wanted, filter="created_at > 5", **found)
    client.query("pairs", filter=FILTER, limit=100, **found)
    client.delete("pairs", filter=FILTER, partition_name="mine")
    client.flush("pairs")
    client.close()


def _plain(request: Any) -> str:
    """As text; pairs, whose order means nothing, sorted, and JSON in them without blanks."""
    for name in ("search_params", "query_params", "extra_params"):
        if hasattr(request, name):
            items = sorted((pair.key, pair.value.replace(" ", "")) for pair in getattr(request, name))
            del getattr(request, name)[:]
            getattr(request, name).extend(common_pb2.KeyValuePair(key=key, value=value) for key, value in items)
    if hasattr(request, "base"):
        request.ClearField("base")
    return str(request)
