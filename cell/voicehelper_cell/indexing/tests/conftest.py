"""Real stores for the whole path of a document: PostgreSQL, a Milvus Lite server, the real model."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import types
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from voicehelper_cell.indexing.queue import IndexingQueue
from voicehelper_cell.indexing.repair import Repair
from voicehelper_cell.indexing.service import IndexingService
from voicehelper_cell.inference.batching import Batcher
from voicehelper_cell.inference.embedder import Embedder
from voicehelper_cell.inference.grpc import InferenceServicer
from voicehelper_cell.knowledge.grpc import message
from voicehelper_cell.knowledge.models import Document
from voicehelper_cell.knowledge.objects import Objects
from voicehelper_cell.knowledge.service import KnowledgeService
from voicehelper_cell.retrieval.models import Hit, Query
from voicehelper_cell.retrieval.service import RetrievalService
from voicehelper_cell.vectors import Vectors
from voicehelper_core import faults, names, placement_list
from voicehelper_core.context import TenantContext
from voicehelper_core.gen.inference.v1 import inference_pb2_grpc
from voicehelper_core.gen.knowledge.v1 import knowledge_pb2
from voicehelper_core.grpc_service import ErrorInterceptor
from voicehelper_core.milvus import Column, Index, MilvusClient
from voicehelper_core.rpc import LocalChannel
from voicehelper_core.tests.milvus_server import MilvusServer

CELL = "ctest0000001"
ACME = TenantContext("tacme0000001", "acme", "user-1", CELL)
GLOBEX = TenantContext("tglobex00001", "globex", "user-2", CELL)


@pytest.fixture(scope="session")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    server = MilvusServer(tmp_path_factory.mktemp("milvus"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def postgres_dsn() -> Iterator[str]:
    binaries = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
    if binaries is None:
        pytest.fail("PostgreSQL is needed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="vhcell", dir="/tmp"))  # a socket's path has at most 107 characters
    prefix = []
    if os.geteuid() == 0:  # Postgres refuses to run as root
        shutil.chown(folder, "nobody")
        prefix = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]

    def run(program: str, *arguments: str) -> None:
        command = [*prefix, str(binaries / program), *arguments]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    run("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-N", "--no-locale", "-E", "UTF8")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    run("pg_ctl", "-D", "data", "-l", "log", "-o", options, "-w", "start")
    yield f"postgresql://postgres@/postgres?host={folder}"
    run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")
    shutil.rmtree(folder)


async def _slices(dsn: str, milvus: MilvusServer) -> None:
    """What the operator and the migration make for a cell, empty."""
    schema, owner, role = (
        names.schema(CELL, "knowledge"),
        names.owner_role(CELL, "knowledge"),
        names.service_role(CELL, "knowledge"),
    )
    login, migrator, placed = names.login_role(CELL), names.migrator_role(CELL), names.placement_schema(CELL)
    connection = await asyncpg.connect(dsn)
    try:
        if not await connection.fetchval("select 1 from pg_roles where rolname = $1", owner):
            await connection.execute(
                f"create role {owner} nologin; create role {role} nologin;"
                f" create role {login} login noinherit in role {role};"
                f" create role {migrator} login noinherit in role {owner}"
            )
        await connection.execute(
            f"drop schema if exists {schema} cascade; create schema {schema} authorization {owner}"
        )
        await connection.execute(f"drop schema if exists {placed} cascade")
        for statement in (*placement_list.statements(CELL), *placement_list.granted(CELL, role)):
            await connection.execute(statement)
        for tenant in (ACME, GLOBEX):
            await connection.execute(f"insert into {placed}.tenants values ($1, $2)", tenant.tenant_id, tenant.tenant)
    finally:
        await connection.close()
    await _migrate(dsn.replace("postgres@", f"{migrator}@"))
    await collection(milvus.uri)


async def collection(uri: str) -> None:
    """The cell's empty collection, as the operator makes it."""
    client, name = MilvusClient(uri), names.collection(CELL)
    if await client.has_collection(name):
        await client.drop_collection(name)
    columns = [Column("id", "Int64", primary=True), Column("content", "VarChar", 65_535)]
    columns += [Column(text, "VarChar", 64) for text in ("chunk_id", "document_id", "tenant_id")]
    columns += [Column("embedding", "FloatVector", 384), Column("created_at", "Int64")]
    await client.create_collection(name, columns)
    await client.create_index(name, Index("embedding"))
    for tenant in (ACME, GLOBEX):
        await client.create_partition(name, names.partition(tenant.tenant_id))
    await client.load_collection(name)
    await client.close()


async def _migrate(dsn: str) -> None:
    from voicehelper_cell.migrate import migrate_service

    await migrate_service(dsn, CELL, "knowledge")


@dataclass
class Cell:
    """The services that a document passes through."""

    database: Any
    vectors: Vectors
    objects: Objects
    knowledge: KnowledgeService
    indexing: IndexingService
    queue: IndexingQueue
    repair: Repair
    retrieval: RetrievalService
    milvus: MilvusServer
    dsn: str
    limits: dict[str, Any] = field(default_factory=dict)

    async def add(self, who: TenantContext, text: str, **more: Any) -> Document:
        """Upload and index a text."""
        document = await self.upload(who, text, **more)
        await self.indexing.process(who, [document.id])
        return await self.knowledge.get(who, str(document.id))

    async def upload(self, who: TenantContext, text: str, **more: Any) -> Document:
        """Upload a text."""
        arguments = {"kind": "text/markdown", "title": "", "external_id": "", "idempotency_key": ""} | more
        answer = await self.knowledge.upload(
            who, text.encode(), encode=lambda document: message(document).SerializeToString(), **arguments
        )
        return await self.knowledge.get(who, knowledge_pb2.Document.FromString(answer).id)

    async def search(self, who: TenantContext, text: str, mode: str = "hybrid", top_k: int = 10) -> list[Hit]:
        """Search."""
        return await self.retrieval.retrieve(who, Query.checked(text, mode, top_k))

    async def sql(self, who: TenantContext, statement: str, *arguments: Any) -> list[Any]:
        """Rows, as the tenant sees them."""
        async with self.database.tenant(who) as connection:
            rows: list[Any] = await connection.fetch(statement, *arguments)
            return rows


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture
async def cell(postgres_dsn: str, milvus: MilvusServer, model_dir: Path, tmp_path: Path) -> AsyncIterator[Cell]:
    """A cell of two tenants without documents."""
    from voicehelper_cell.database import Database, connect

    await _slices(postgres_dsn, milvus)
    dsn = postgres_dsn.replace("postgres@", f"{names.login_role(CELL)}@")
    database = Database(await connect(dsn, 5), CELL, "knowledge")
    settings = types.SimpleNamespace(cell_id=CELL, milvus_uri=milvus.uri)
    batcher = Batcher(Embedder.load(model_dir), threads=1, batch_texts=32, batch_tokens=512)
    await batcher.start()
    channel = LocalChannel([ErrorInterceptor()])
    channel.add(inference_pb2_grpc.add_InferenceServiceServicer_to_server, InferenceServicer(batcher))
    stub = inference_pb2_grpc.InferenceServiceStub(channel)
    vectors, objects, limits = Vectors(settings), Objects(str(tmp_path), CELL), dict[str, Any]()

    async def limits_of(who: TenantContext) -> dict[str, Any]:
        return limits

    indexing = IndexingService(database, vectors, stub)
    queue = IndexingQueue(indexing)
    yield Cell(
        database=database,
        vectors=vectors,
        objects=objects,
        knowledge=KnowledgeService(database, objects, limits_of, max_bytes=100_000, idempotency_hours=24),
        indexing=indexing,
        queue=queue,
        repair=Repair(database, vectors, indexing, queue, objects),
        retrieval=RetrievalService(database, vectors, stub),
        milvus=milvus,
        dsn=postgres_dsn,
        limits=limits,
    )
    await vectors.close()
    await batcher.stop()
    await channel.close()
    await database.close()


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Sets fault points; none are left behind."""

    def use(points: str) -> None:
        monkeypatch.setenv("VOICEHELPER_FAULT_POINTS", points)
        faults.load()

    yield use
    monkeypatch.delenv("VOICEHELPER_FAULT_POINTS", raising=False)
    faults.load()
