"""The product's retrieval service in this process, on the stores of a running platform.

It is the cell's own code with the cell's own credentials, so that a figure holds no HTTP, no token and no router;
those are measured by themselves, through the router.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import yaml
from voicehelper_cell.database import Database, connect
from voicehelper_cell.retrieval.service import RetrievalService
from voicehelper_cell.vectors import Vectors
from voicehelper_core.context import TenantContext
from voicehelper_core.gen.inference.v1 import inference_pb2_grpc
from voicehelper_core.grpc_service import channel
from voicehelper_embedded.throwaway import Platform, tenant

from voicehelper_bench.site import Place

CELL, PLAN = "bench-retrieval", "bench-retrieval"


@dataclass(frozen=True, slots=True)
class World:
    """Stores of the cell, its service, and the contexts of its tenants by name."""

    database: Database
    vectors: Vectors
    inference: Any
    service: RetrievalService
    who: dict[str, TenantContext]


def place(platform: Platform, tenants: Sequence[str]) -> None:
    """Make one shared cell and put the tenants there. Raises AssertionError where they do not get ready."""
    resource = {"apiVersion": "voicehelper.io/v1alpha1"}
    documents: list[dict[str, Any]] = [
        resource | {"kind": "CellClass", "metadata": {"name": PLAN}, "spec": {"cpu": "2", "memory": "2Gi"}},
        resource
        | {
            "kind": "TenantPlan",
            "metadata": {"name": PLAN},
            "spec": {"isolation": "shared", "quota": {"users": 10, "documents": 1_000_000, "tokensPerDay": 1_000_000}},
        },
        resource
        | {
            "kind": "Cell",
            "metadata": {"name": CELL},
            "spec": {"tenancy": "shared", "classRef": PLAN, "capacity": len(tenants)},
        },
    ]
    for name in tenants:
        documents.append(tenant(name, PLAN))
    platform.cli("apply", "-f", "-", stdin=yaml.safe_dump_all(documents))
    for name in tenants:
        platform.cli("wait", f"tenant/{name}", "--for", "condition=Ready", "--timeout", "300s", timeout=330)


def stored(platform: Platform, cell_id: str) -> Vectors:
    """The vectors of a cell, by the cell's own code."""
    return Vectors(SimpleNamespace(cell_id=cell_id, milvus_uri=f"http://127.0.0.1:{platform.ports['milvus']}"))


@asynccontextmanager
async def opened(platform: Platform, tenants: Sequence[str]) -> AsyncIterator[World]:
    """The service, with the cell's own credentials."""
    place, ports = Place.of(platform, tenants[0]), platform.ports
    cell_id = place.cell_id
    pool = await connect(place.dsn, 8)
    database = Database(pool, cell_id, "knowledge")
    vectors = stored(platform, cell_id)
    address = channel(f"127.0.0.1:{ports['inference-grpc']}")
    inference = inference_pb2_grpc.InferenceServiceStub(address)
    who = {
        name: TenantContext(platform.resource("tenant", name)["status"]["tenantId"], name, "bench", cell_id)
        for name in tenants
    }
    try:
        yield World(database, vectors, inference, RetrievalService(database, vectors, inference), who)
    finally:
        await vectors.close()
        await address.close()
        await database.close()
