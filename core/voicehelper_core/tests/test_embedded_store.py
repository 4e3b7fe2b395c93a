"""What the embedded store has of its own, against a real Postgres."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from voicehelper_core import embedded_store
from voicehelper_crds import Tenant

pytestmark = pytest.mark.integration


async def test_a_status_of_a_later_release_can_be_read(store, pool, tenant):
    await store.apply(tenant())
    await pool.execute("""UPDATE resources.objects SET status = '{"phase": "Ready", "novelty": {"a": 1}}'""")
    assert (await store.get(Tenant, "acme")).status.phase == "Ready"


async def test_install_can_be_repeated_and_lets_readers_read(postgres, pool, store, tenant):
    await store.apply(tenant())
    await pool.execute("CREATE ROLE resources_reader LOGIN")
    try:
        await asyncio.gather(*(embedded_store.install(postgres.dsn) for _ in range(3)))
        reading = await embedded_store.connect(postgres.dsn.replace("postgres@", "resources_reader@"))
        try:
            reader = embedded_store.PostgresResourceStore(reading)
            assert [item.metadata.name for item in await reader.list(Tenant)] == ["acme"]
            async for change in reader.watch(Tenant):
                if change.type == "synced":
                    break
            with pytest.raises(Exception, match="permission denied"):
                await reader.apply(tenant("other"))
        finally:
            await reading.close()
    finally:
        await pool.execute("DROP OWNED BY resources_reader; DROP ROLE resources_reader")


async def test_events_are_counted_and_bounded(pool, store, tenant):
    recorder, resource = embedded_store.PostgresEventRecorder(pool), await store.apply(tenant())
    for _ in range(3):
        await recorder.record(resource, "Drift", "a topic\0 was gone", warning=True)
    (event,) = await recorder.events("Tenant", "acme")
    assert (event.count, event.type, event.reason, event.message) == (3, "Warning", "Drift", "a topic was gone")
    for number in range(110):
        await recorder.record(resource, "Placed", f"in cell {number}")
    kept = await recorder.events("Tenant", "acme")
    assert len(kept) == 100
    assert kept[-1].message == "in cell 109"
    assert await recorder.events("Tenant", "other") == []


async def test_a_lease_has_one_holder(pool):
    lease, minute = embedded_store.PostgresLease(pool), timedelta(minutes=1)
    took = await asyncio.gather(*(lease.acquire("operator", f"h{number}", minute) for number in range(8)))
    assert took.count(True) == 1
    holder = f"h{took.index(True)}"
    assert await lease.acquire("operator", holder, minute)
    assert not await lease.acquire("operator", "late", minute)
    await lease.release("operator", "late")
    assert not await lease.acquire("operator", "late", minute)
    await pool.execute("UPDATE resources.leases SET expires_at = clock_timestamp() + interval '90 seconds'")
    assert not await lease.acquire("operator", "late", minute)
    for ended in ("0 seconds", "1 hour"):  # the clock went on, or was set back
        await pool.execute("UPDATE resources.leases SET expires_at = clock_timestamp() + $1::text::interval", ended)
        assert await lease.acquire("operator", "late", minute)
    await lease.release("operator", "late")
    assert await lease.acquire("operator", holder, minute)
