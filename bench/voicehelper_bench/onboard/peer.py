"""The bare store work of one tenant, by hand and one after the other: what no operator can do without.

A row in the cell's list of tenants, a partition in Milvus, the tenant with its admin in identity, and a request to the
cell that needs the row. No resource, no status, no route.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from voicehelper_core import names
from voicehelper_core.gen.identity.v1 import provisioning_pb2, provisioning_pb2_grpc
from voicehelper_core.grpc_service import channel
from voicehelper_core.milvus import MilvusClient
from voicehelper_embedded.throwaway import Platform


class Bare:
    """Connections that are open already, as the operator's are."""

    def __init__(self, platform: Platform, cell_id: str, sql: asyncpg.Connection, milvus: MilvusClient) -> None:
        self._cell_id, self._sql, self._milvus = cell_id, sql, milvus
        self.channel = channel(f"127.0.0.1:{platform.ports['identity-grpc']}")
        self._identity = provisioning_pb2_grpc.ProvisioningServiceStub(self.channel)
        self._metadata = (("x-provisioning-key", platform.secrets["provisioning_key"]),)

    async def once(self, name: str) -> float:
        """Seconds for one tenant, which is removed afterwards, unmeasured."""
        tenant_id = names.new_id()
        table = f"{names.placement_schema(self._cell_id)}.tenants"
        collection, partition = names.collection(self._cell_id), names.partition(tenant_id)
        started = time.perf_counter()
        try:
            await self._sql.execute(f"INSERT INTO {table} (tenant_id, name) VALUES ($1, $2)", tenant_id, name)
            await self._milvus.create_partition(collection, partition)
            await self._ask(
                "EnsureTenant",
                provisioning_pb2.EnsureTenantRequest(
                    name=name,
                    tenant_id=tenant_id,
                    admin_email=f"admin@{name}.example",
                    admin_password="a long password of nobody",
                    max_users=50,
                ),
            )
            return time.perf_counter() - started
        finally:
            await self._ask("RemoveTenant", provisioning_pb2.RemoveTenantRequest(tenant_id=tenant_id))
            await self._milvus.drop_partition(collection, partition)
            await self._sql.execute(f"DELETE FROM {table} WHERE tenant_id = $1", tenant_id)

    async def _ask(self, method: str, request: Any) -> None:
        await getattr(self._identity, method)(request, metadata=self._metadata, timeout=30)


@asynccontextmanager
async def bare(platform: Platform, cell_id: str) -> AsyncIterator[Bare]:
    """For a shared cell that runs."""
    sql = await asyncpg.connect(platform.postgres_dsn)
    milvus = MilvusClient(f"http://127.0.0.1:{platform.ports['milvus']}")
    work = Bare(platform, cell_id, sql, milvus)
    try:
        yield work
    finally:
        await work.channel.close()
        await milvus.close()
        await sql.close()


async def two_starts() -> float:
    """Seconds of a migration's and a service's interpreter with their imports, one after the other."""
    started = time.perf_counter()
    for module in ("voicehelper_cell.migrate", "voicehelper_cell.app"):
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", f"import {module}")
        if await process.wait():
            raise RuntimeError(f"{module} cannot be imported")
    return time.perf_counter() - started
