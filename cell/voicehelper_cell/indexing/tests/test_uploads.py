"""What may be uploaded, how often it counts, and how it is listed, on real stores."""

from __future__ import annotations

import asyncio

import pytest
from voicehelper_cell.indexing.tests.conftest import ACME, CELL, GLOBEX, Cell
from voicehelper_cell.indexing.tests.documents import CATS, FEES
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import InvalidArgument, NotFound, QuotaExceeded, TooLarge, Unprocessable


async def test_uploads_of_one_external_id_at_once(cell: Cell) -> None:
    uploaded = await asyncio.gather(*(cell.upload(ACME, f"text {n}", external_id="same") for n in range(8)))
    assert len({document.id for document in uploaded}) == 1
    rows = await cell.sql(ACME, "select revision from documents")
    assert [row["revision"] for row in rows] == [8]
    assert (await cell.sql(ACME, "select documents from totals"))[0]["documents"] == 1


async def test_an_idempotency_key_answers_once(cell: Cell) -> None:
    first = await cell.upload(ACME, FEES, idempotency_key="k")
    again = await cell.upload(ACME, FEES, idempotency_key="k")
    assert again.id == first.id
    with pytest.raises(Unprocessable):
        await cell.upload(ACME, CATS, idempotency_key="k")
    other = TenantContext(ACME.tenant_id, ACME.tenant, "user-9", CELL)
    assert (await cell.upload(other, CATS, idempotency_key="k")).id != first.id
    await cell.sql(ACME, "update idempotency set created_at = now() - interval '25 hours' returning key")
    assert (await cell.upload(ACME, CATS, idempotency_key="k")).id != first.id
    at_once = await asyncio.gather(*(cell.upload(ACME, "text", idempotency_key="z") for _ in range(5)))
    assert len({document.id for document in at_once}) == 1


async def test_quotas(cell: Cell) -> None:
    cell.limits.update(documents=2, storage_bytes=100)
    first = await cell.upload(ACME, "x" * 40, external_id="a")
    await cell.upload(ACME, "x" * 40, external_id="b")
    with pytest.raises(QuotaExceeded, match="2 documents"):
        await cell.upload(ACME, "x")
    with pytest.raises(QuotaExceeded, match="100 bytes"):
        await cell.upload(ACME, "x" * 61, external_id="a")
    await cell.upload(ACME, "x" * 60, external_id="a")
    await cell.upload(GLOBEX, "x" * 90)
    await cell.knowledge.delete(ACME, str(first.id))
    await cell.upload(ACME, "x")
    with pytest.raises(TooLarge):
        await cell.upload(ACME, "x" * 100_001)


async def test_lists_have_cursors(cell: Cell) -> None:
    wanted = [(await cell.upload(ACME, f"text {n}", external_id=f"d{n}")).id for n in range(5)]
    found, cursor = [], ""
    while True:
        page, cursor = await cell.knowledge.list(ACME, limit=2, cursor=cursor, external_id="")
        found += [document.id for document in page]
        if not cursor:
            break
    assert found == wanted[::-1]
    only, _ = await cell.knowledge.list(ACME, limit=0, cursor="", external_id="d3")
    assert [document.id for document in only] == [wanted[3]]
    for bad in ("x", "AAAA", "é", "../.."):
        with pytest.raises(InvalidArgument):
            await cell.knowledge.list(ACME, limit=1, cursor=bad, external_id="")
    with pytest.raises(InvalidArgument):
        await cell.knowledge.list(ACME, limit=101, cursor="", external_id="")


@pytest.mark.parametrize("value", ["", "x", "../x", "' or 1=1 --", "00000000-0000-0000-0000-000000000000"])
async def test_ids_of_nothing(cell: Cell, value: str) -> None:
    with pytest.raises(NotFound):
        await cell.knowledge.get(ACME, value)
