"""The requests. Milvus knows no query language of its own: collections, partitions and expressions are strings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from dataclasses import field as default
from typing import Any
from urllib.parse import urlsplit

import grpc
import grpc.aio

from voicehelper_core.milvus import rows as translate
from voicehelper_core.milvus.rows import Column
from voicehelper_core.milvus.wire import common_pb2, milvus_pb2

NO_COLLECTION, NOT_LOADED, NO_PARTITION, NO_INDEX = 100, 101, 200, 700
"""Codes of Milvus' statuses."""
UNREACHABLE = -1
"""The code where no status came: see ``MilvusError.grpc_code``."""
_LOOK_SECONDS = 0.2
_NOW = 1  # as guarantee timestamp: the consistency level of the collection decides
_SERVICE = "/milvus.proto.milvus.MilvusService/"
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),  # a page of rows may be larger than gRPC's 4 MiB
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),  # a restarted Milvus is found again within a second
    ("grpc.min_reconnect_backoff_ms", 5000),  # gRPC takes it as the least time for a connection attempt
    ("grpc.max_reconnect_backoff_ms", 1000),
)


class MilvusError(Exception):
    """Milvus refused (``code`` of its status) or did not answer (``UNREACHABLE``, and ``grpc_code`` says how)."""

    def __init__(self, code: int, message: str, grpc_code: grpc.StatusCode | None = None) -> None:
        super().__init__(f"{message} (code {grpc_code.name if grpc_code else code})")
        self.code, self.message, self.grpc_code = code, message, grpc_code


@dataclass(frozen=True, slots=True)
class Index:
    """How the vectors of ``field`` are found."""

    field: str
    index_type: str = "FLAT"
    metric_type: str = "IP"
    params: Mapping[str, object] = default(default_factory=dict)


class MilvusClient:
    """One channel to one server (``http://host:port``). Every call raises MilvusError; ``timeout`` is in seconds."""

    def __init__(self, uri: str, timeout: float = 10.0) -> None:
        parts = urlsplit(uri)
        if parts.scheme != "http" or not parts.hostname or not parts.port:
            raise ValueError(f"'{uri}' is not an address of the form http://host:port")
        self._timeout = timeout
        self._channel = grpc.aio.insecure_channel(f"{parts.hostname}:{parts.port}", options=_OPTIONS)
        self._methods: dict[str, Any] = {}

    async def close(self) -> None:
        """Disconnect."""
        await self._channel.close()

    async def _call(self, method: str, request: Any, answer: Any, timeout: float | None) -> Any:
        call = self._methods.get(method)
        if call is None:
            call = self._methods[method] = self._channel.unary_unary(
                _SERVICE + method,
                request_serializer=type(request).SerializeToString,
                response_deserializer=answer.FromString,
            )
        try:
            response = await call(request, timeout=timeout or self._timeout)
        except grpc.aio.AioRpcError as error:
            raise MilvusError(UNREACHABLE, error.details() or "no answer", error.code()) from None
        except grpc.aio.UsageError as error:  # closed meanwhile
            raise MilvusError(UNREACHABLE, str(error), grpc.StatusCode.CANCELLED) from None
        status = response if isinstance(response, common_pb2.Status) else response.status
        if status.code or status.error_code:
            raise MilvusError(status.code or status.error_code, status.reason)
        return response

    async def has_collection(self, name: str, *, timeout: float | None = None) -> bool:
        """Whether it exists."""
        request = milvus_pb2.DescribeCollectionRequest(collection_name=name)
        try:
            await self._call("DescribeCollection", request, milvus_pb2.DescribeCollectionResponse, timeout)
        except MilvusError as error:
            if error.code in (NO_COLLECTION, common_pb2.CollectionNotExists):
                return False
            raise
        return True

    async def create_collection(self, name: str, columns: Sequence[Column], *, timeout: float | None = None) -> None:
        """Make it, with strong consistency; no index yet, and not loaded."""
        request = milvus_pb2.CreateCollectionRequest(
            collection_name=name,
            schema=translate.schema(name, columns).SerializeToString(),
            consistency_level=common_pb2.ConsistencyLevel.Strong,
        )
        await self._call("CreateCollection", request, common_pb2.Status, timeout)

    async def has_index(self, collection: str, field: str, *, timeout: float | None = None) -> bool:
        """Whether the vectors of ``field`` are indexed."""
        request = milvus_pb2.DescribeIndexRequest(collection_name=collection)
        try:
            answer = await self._call("DescribeIndex", request, milvus_pb2.DescribeIndexResponse, timeout)
        except MilvusError as error:
            if error.code in (NO_INDEX, common_pb2.IndexNotExist):
                return False
            raise
        return any(item.field_name == field for item in answer.index_descriptions)

    async def create_index(self, collection: str, index: Index, *, timeout: float | None = None) -> None:
        """Index a field; an index that is there already stays."""
        params = {"metric_type": index.metric_type, "index_type": index.index_type, **index.params}
        request = milvus_pb2.CreateIndexRequest(
            collection_name=collection, field_name=index.field, extra_params=translate.pairs(params)
        )
        await self._call("CreateIndex", request, common_pb2.Status, timeout)

    async def drop_collection(self, name: str, *, timeout: float | None = None) -> None:
        """Remove it with its data."""
        request = milvus_pb2.DropCollectionRequest(collection_name=name)
        await self._call("DropCollection", request, common_pb2.Status, timeout)

    async def load_collection(self, name: str, *, timeout: float | None = None) -> None:
        """Make it searchable; returns when it is."""
        request = milvus_pb2.LoadCollectionRequest(collection_name=name)
        await self._call("LoadCollection", request, common_pb2.Status, timeout)
        look = milvus_pb2.GetLoadingProgressRequest(collection_name=name)
        async with _deadline(timeout or self._timeout, f"{name} is not loaded yet"):
            while True:
                answer = await self._call("GetLoadingProgress", look, milvus_pb2.GetLoadingProgressResponse, timeout)
                if answer.progress >= 100:
                    return
                await asyncio.sleep(_LOOK_SECONDS)

    async def flush(self, collection: str, *, timeout: float | None = None) -> None:
        """Write what was inserted into segments; returns when that is done."""
        request = milvus_pb2.FlushRequest(collection_names=[collection])
        answer = await self._call("Flush", request, milvus_pb2.FlushResponse, timeout)
        look = milvus_pb2.GetFlushStateRequest(
            segmentIDs=answer.coll_segIDs[collection].data,
            flush_ts=answer.coll_flush_ts[collection],
            collection_name=collection,
        )
        async with _deadline(timeout or self._timeout, f"{collection} is not flushed yet"):
            while True:
                state = await self._call("GetFlushState", look, milvus_pb2.GetFlushStateResponse, timeout)
                if state.flushed:
                    return
                await asyncio.sleep(_LOOK_SECONDS)

    async def list_collections(self, *, timeout: float | None = None) -> list[str]:
        """Names of all."""
        request = milvus_pb2.ShowCollectionsRequest()
        answer = await self._call("ShowCollections", request, milvus_pb2.ShowCollectionsResponse, timeout)
        return list(answer.collection_names)

    async def list_partitions(self, collection: str, *, timeout: float | None = None) -> list[str]:
        """Names, ``_default`` among them."""
        request = milvus_pb2.ShowPartitionsRequest(collection_name=collection)
        answer = await self._call("ShowPartitions", request, milvus_pb2.ShowPartitionsResponse, timeout)
        return list(answer.partition_names)

    async def has_partition(self, collection: str, partition: str, *, timeout: float | None = None) -> bool:
        """Whether it exists in a collection that exists."""
        request = milvus_pb2.HasPartitionRequest(collection_name=collection, partition_name=partition)
        return bool((await self._call("HasPartition", request, milvus_pb2.BoolResponse, timeout)).value)

    async def create_partition(self, collection: str, partition: str, *, timeout: float | None = None) -> None:
        """Make it."""
        request = milvus_pb2.CreatePartitionRequest(collection_name=collection, partition_name=partition)
        await self._call("CreatePartition", request, common_pb2.Status, timeout)

    async def release_partitions(
        self, collection: str, partitions: Sequence[str], *, timeout: float | None = None
    ) -> None:
        """Take them out of memory; a server drops only what is released."""
        request = milvus_pb2.ReleasePartitionsRequest(collection_name=collection, partition_names=partitions)
        await self._call("ReleasePartitions", request, common_pb2.Status, timeout)

    async def drop_partition(self, collection: str, partition: str, *, timeout: float | None = None) -> None:
        """Remove it with its data."""
        request = milvus_pb2.DropPartitionRequest(collection_name=collection, partition_name=partition)
        await self._call("DropPartition", request, common_pb2.Status, timeout)

    async def insert(
        self,
        collection: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        partition_name: str = "",
        timeout: float | None = None,
    ) -> list[int]:
        """Add rows that all have the same keys; the ids that Milvus gave them."""
        if not rows:
            return []
        request = milvus_pb2.InsertRequest(
            collection_name=collection,
            partition_name=partition_name,
            fields_data=translate.columns(rows),
            num_rows=len(rows),
        )
        answer = await self._call("Insert", request, milvus_pb2.MutationResult, timeout)
        return list(answer.IDs.int_id.data)

    async def delete(
        self, collection: str, *, filter: str, partition_name: str = "", timeout: float | None = None
    ) -> None:
        """Remove the rows that an expression names."""
        request = milvus_pb2.DeleteRequest(collection_name=collection, partition_name=partition_name, expr=filter)
        await self._call("Delete", request, milvus_pb2.MutationResult, timeout)

    async def query(
        self,
        collection: str,
        *,
        filter: str,
        output_fields: Sequence[str],
        partition_names: Sequence[str] = (),
        limit: int | None = None,
        timeout: float | None = None,
    ) -> list[dict[str, Any]]:
        """The rows that an expression names; ``["count(*)"]`` as fields counts them."""
        params: dict[str, object] = {} if limit is None else {"limit": limit}
        request = milvus_pb2.QueryRequest(
            collection_name=collection,
            expr=filter,
            output_fields=output_fields,
            partition_names=partition_names,
            query_params=translate.pairs({**params, "ignore_growing": False, "reduce_stop_for_best": False}),
            guarantee_timestamp=_NOW,
            use_default_consistency=True,
        )
        answer = await self._call("Query", request, milvus_pb2.QueryResults, timeout)
        return translate.records(answer.fields_data)

    async def search(
        self,
        collection: str,
        vector: Sequence[float],
        *,
        limit: int,
        partition_names: Sequence[str] = (),
        output_fields: Sequence[str] = (),
        filter: str = "",
        search_params: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> list[tuple[float, dict[str, Any]]]:
        """Scores with the wanted fields, best first. ``search_params`` are ``metric_type`` and ``params``."""
        wanted = dict(search_params or {})
        metric, params = wanted.get("metric_type"), dict(wanted.get("params") or {})
        if metric:
            params["metric_type"] = metric
        options = {
            "topk": limit,
            "round_decimal": -1,
            "ignore_growing": False,
            **({"metric_type": metric} if metric else {}),
            "params": json.dumps(params, separators=(",", ":")),
        }
        request = milvus_pb2.SearchRequest(
            collection_name=collection,
            partition_names=partition_names,
            dsl=filter,
            dsl_type=common_pb2.DslType.BoolExprV1,
            placeholder_group=translate.placeholder(vector),
            output_fields=output_fields,
            search_params=translate.pairs(options),
            guarantee_timestamp=_NOW,
            nq=1,
            use_default_consistency=True,
        )
        results = (await self._call("Search", request, milvus_pb2.SearchResults, timeout)).results
        found = translate.records([item for item in results.fields_data if item.field_name in output_fields])
        scores = list(results.scores)
        return list(zip(scores, found or [{} for _ in scores], strict=True))


@asynccontextmanager
async def _deadline(seconds: float, message: str) -> AsyncIterator[None]:
    """Raises MilvusError when the block takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise MilvusError(UNREACHABLE, message, grpc.StatusCode.DEADLINE_EXCEEDED) from None
