"""Milvus: the partition of the victim, by the API and past it."""

from __future__ import annotations

from voicehelper_core import names

from voicehelper_cli.isolation.arena import Arena
from voicehelper_cli.isolation.attack import Recorder, attack
from voicehelper_cli.isolation.model import FOREIGN_CELL, NEIGHBOUR

_QUESTION = "the code word of the vault"
_SEARCH = "/api/v1/knowledge/search"


@attack("milvus.search", surface="milvus")
async def search(arena: Arena, tried: Recorder) -> None:
    """The victim's passages by search, with expressions, partitions, tenants and ids of the victim in it."""
    victim, document = arena.victim.tenant_id, arena.facts["document_id"]
    found = await arena.victim.call("POST", _SEARCH, json={"query": _QUESTION})
    if not arena.canaries.seen(str(found)):
        raise AssertionError("the victim does not find its own document")
    headers = await arena.neighbour.headers()
    forged: tuple[dict[str, object], ...] = (
        {},
        {"tenant_id": victim},
        {"partition": victim},
        {"partition_names": [victim, "_default"]},
        {"collection": names.collection(arena.victim.cell_id)},
        {"filter": f'tenant_id == "{victim}"'},
        {"expr": "id >= 0"},
        {"document_ids": [document]},
        {"document_id": document},
        {"source_id": document},
    )
    words = (
        _QUESTION,
        f'" or tenant_id == "{victim}',
        f"{_QUESTION}' OR '1'='1",
        "%",
        f'document_id in ["{document}"]',
    )
    for mode in ("vector", "bm25", "hybrid"):
        for query in words:
            await _ask(arena, tried, headers, {"query": query, "mode": mode, "limit": 50})
    for more in forged:
        await _ask(arena, tried, headers, {"query": _QUESTION, **more})


async def _ask(arena: Arena, tried: Recorder, headers: dict[str, str], body: dict[str, object]) -> None:
    answer = await arena.neighbour.http.post(_SEARCH, headers=headers, json=body)
    found = answer.json()["hits"] if answer.status_code == 200 else []
    theirs = [hit for hit in found if hit["document_id"] == arena.facts["document_id"]]
    fine = answer.status_code in (200, 400, 422) and not theirs
    reason = f"answered {answer.status_code} with {len(theirs)} passages of the victim's document"
    # The external id of the victim may name a document of the neighbour's own: an earlier attack used it.
    said = [str(body), arena.facts["external_id"]]
    what = f"POST {_SEARCH} {body}"
    tried.expect(fine, what, answer.text, by=NEIGHBOUR, finding="milvus.search", reason=reason, sent=said)


@attack("milvus.direct", surface="milvus", needs=("stranger",))
async def direct(arena: Arena, tried: Recorder) -> None:
    """The server itself, as another cell reaches it."""
    from voicehelper_core.milvus import MilvusClient, MilvusError

    collection, partition = names.collection(arena.victim.cell_id), names.partition(arena.victim.tenant_id)
    client = MilvusClient(arena.places.milvus_uri)
    what = f"query partition {partition} of {collection} at {arena.places.milvus_uri}"
    try:
        rows = await client.query(
            collection,
            filter="id > -1",
            partition_names=[partition],
            output_fields=["chunk_id", "document_id"],
            limit=5,
        )
    except MilvusError as error:
        tried.held(what, error, by=FOREIGN_CELL, finding="milvus.direct")
        return
    finally:
        await client.close()
    reason = (
        "Milvus Lite has no users: whoever reaches the server reads and writes every collection (ids and vectors, no"
        " texts); the services name the partition, and the condition StoreIsolated of the cell says so"
    )
    if not await _told(arena):
        reason = "Milvus Lite has no users, and the condition StoreIsolated of the cell does not say so"
        tried.leaked(what, rows, by=FOREIGN_CELL, finding="milvus.direct", reason=reason)
    else:
        tried.not_isolated(what, f"{len(rows)} rows", by=FOREIGN_CELL, finding="milvus.direct", reason=reason)


async def _told(arena: Arena) -> bool:
    from voicehelper_crds import Cell

    cell = await arena.world.resources.store.get(Cell, arena.victim.cell)
    return any(
        c.type == "StoreIsolated" and c.status == "False" and "milvus" in c.message for c in cell.status.conditions
    )
