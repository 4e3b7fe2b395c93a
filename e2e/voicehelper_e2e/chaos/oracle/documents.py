"""Every document is found or failed with a reason; deleted ones and old revisions are not found and left nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from voicehelper_core import names

from voicehelper_e2e.chaos.calls import Caller
from voicehelper_e2e.chaos.ledger import Document, TenantLedger
from voicehelper_e2e.chaos.oracle.finding import Finding, shortened
from voicehelper_e2e.chaos.oracle.messages import pages
from voicehelper_e2e.chaos.oracle.world import World, table

_AT_ONCE = 4
_MODES = ("bm25", "vector")


async def check(caller: Caller, tenant: TenantLedger) -> list[Finding]:
    """Through the router: the list, then a search for every word that was ever uploaded."""
    listed = {item["id"]: item for item in await pages(caller, "/api/v1/knowledge/documents", what="documents")}
    problems = states(tenant, listed)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def judged(document: Document) -> list[str]:
        async with gate:
            return await _search(caller, document, listed.get(document.id))

    for found in await asyncio.gather(*(judged(document) for document in tenant.documents.values())):
        problems += found
    return [Finding("documents", tenant.name, problem) for problem in problems]


def states(tenant: TenantLedger, listed: dict[str, dict[str, Any]]) -> list[str]:
    """What the list of documents says."""
    problems = []
    for document in tenant.documents.values():
        found = listed.get(document.id)
        if document.deleted and found:
            problems.append(f"{document.id} was deleted and is listed")
        elif found is None and not (document.deleted or document.deleting):
            problems.append(f"{document.id} was acknowledged and is lost")
        elif found and found["status"] == "failed" and not found.get("error"):
            problems.append(f"{document.id} failed without a reason")
        elif found and found["status"] not in ("indexed", "failed"):
            problems.append(f"{document.id} is neither indexed nor failed: {found['status']} {found.get('error', '')}")
    unknown = [item for key, item in listed.items() if key not in tenant.documents]
    problems += [
        f"{item['id']} was never uploaded" for item in unknown if item["external_id"] not in tenant.unknown_uploads
    ]
    doubled = [key for key, count in Counter(item["external_id"] for item in unknown).items() if count > 1]
    return [*problems, *(f"the upload of {word} made several documents" for word in doubled)]


async def _search(caller: Caller, document: Document, listed: dict[str, Any] | None) -> list[str]:
    problems = []
    words = [word for word in (document.word, document.maybe) if word]
    texts: list[str] = []
    for mode in _MODES:
        hits = await _hits(caller, document.word, mode)
        mine = [hit["text"] for hit in hits if hit["document_id"] == document.id]
        texts += mine
        if document.deleted and mine:
            problems.append(f"{document.id} was deleted and {mode} finds it")
        if listed and listed["status"] == "indexed" and not mine and not document.maybe:
            problems.append(f"{document.id} is indexed and {mode} does not find {document.word}")
    if listed and listed["status"] == "indexed" and texts and not any(w in text for w in words for text in texts):
        problems.append(f"{document.id} is found with another text than the acknowledged one")
    for old in document.old:
        if any(old in hit["text"] for hit in await _hits(caller, old, "bm25")):
            problems.append(f"{document.id}: {old} was replaced and is found")
    return problems


async def _hits(caller: Caller, query: str, mode: str) -> list[dict[str, Any]]:
    body = {"query": f"the reference {query}", "mode": mode, "top_k": 100 if mode == "vector" else 10}
    found: list[dict[str, Any]] = (await caller.send("POST", "/api/v1/knowledge/search", what="search", json=body))[
        "hits"
    ]
    return found


async def stores(world: World) -> list[Finding]:
    """Passages in Postgres, vectors in Milvus and originals among the objects are the same documents."""
    found: list[Finding] = []
    async with world.fired.postgres() as connection:
        for cell_id in world.cells:
            documents = await connection.fetch(
                f"SELECT tenant_id, id, revision FROM {table(cell_id, 'knowledge', 'documents')}"
            )
            chunks = await connection.fetch(f"SELECT tenant_id, id FROM {table(cell_id, 'knowledge', 'chunks')}")
            wanted = Counter((row["tenant_id"], str(row["id"])) for row in chunks)
            vectors = await _vectors(world, cell_id)
            found += compare(cell_id, "vectors", wanted, vectors)
            originals = Counter(f"{row['tenant_id']}/documents/{row['id']}/{row['revision']}" for row in documents)
            found += compare(cell_id, "objects", originals, _objects(world, cell_id))
    return found


def compare(cell_id: str, check: str, wanted: Counter[Any], present: Counter[Any]) -> list[Finding]:
    """Too few and too many."""
    problems = {"are missing": wanted - present, "are too many": present - wanted}
    return [
        Finding(check, cell_id, f"{items.total()} {what}: {shortened(items)}")
        for what, items in problems.items()
        if items
    ]


async def _vectors(world: World, cell_id: str) -> Counter[tuple[str, str]]:
    collection = names.collection(cell_id)
    found: Counter[tuple[str, str]] = Counter()
    async with world.milvus() as client:
        for partition in await client.list_partitions(collection):
            rows = await client.query(
                collection, filter="id >= 0", partition_names=[partition], output_fields=["chunk_id"], limit=16_000
            )
            found.update((partition, row["chunk_id"]) for row in rows)
    return found


def _objects(world: World, cell_id: str) -> Counter[str]:
    folder = world.fired.watched.home.objects / cell_id
    return Counter(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
