"""Objects of tenants and archives on a real S3 server."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from voicehelper_core import names
from voicehelper_core.archive import ArchiveError, ArchiveWriter, Manifest

from voicehelper_operator.archives.depot import BucketDepot
from voicehelper_operator.archives.objects import BucketObjects
from voicehelper_operator.slices.interface import CellRef
from voicehelper_operator.slices.s3.client import S3Error
from voicehelper_operator.tests.s3_world import MINUTES, World, cell, other, world

__all__ = ["cell", "other", "world"]
pytestmark = [pytest.mark.integration, MINUTES]
TENANT, NEIGHBOUR = "t00000000001", "t00000000002"


async def held(objects: BucketObjects, cell_id: str, tenant_id: str) -> dict[str, bytes]:
    found = {}
    async for key in objects.keys(cell_id, tenant_id):
        opened = await objects.get(cell_id, tenant_id, key)
        assert opened is not None
        found[key] = b"".join([chunk async for chunk in opened[1]])
        assert len(found[key]) == opened[0]
    return found


async def test_a_tenants_objects_under_whatever_keys(world: World, cell: CellRef) -> None:
    await world.slice.ensure(cell)
    objects = BucketObjects(world.client())
    wanted = {
        "documents/d/1": b"one",
        "odd key/@": b"two",
        "folder/": b"",
        "ü &<>+ %2F?#": os.urandom(2**20),
        "empty": b"",
    }
    for key, content in wanted.items():
        await objects.put(cell.cell_id, TENANT, key, content)
    await objects.put(cell.cell_id, NEIGHBOUR, "documents/n/1", b"theirs")
    assert await held(objects, cell.cell_id, TENANT) == wanted
    assert await objects.get(cell.cell_id, TENANT, "nothing") is None
    await objects.clear(cell.cell_id, TENANT)
    assert await held(objects, cell.cell_id, TENANT) == {}
    assert await held(objects, cell.cell_id, NEIGHBOUR) == {"documents/n/1": b"theirs"}
    assert await held(objects, "c99999999999", TENANT) == {}
    await objects.close()


async def test_many_objects_are_listed_page_by_page(world: World, cell: CellRef) -> None:
    await world.slice.ensure(cell)
    objects = BucketObjects(world.client())
    for number in range(1005):
        await objects.put(cell.cell_id, TENANT, f"documents/{number:05d}", b"x")
    assert [key async for key in objects.keys(cell.cell_id, TENANT)] == [f"documents/{n:05d}" for n in range(1005)]
    await objects.close()


async def archive(size: int, *, whole: bool = True) -> AsyncIterator[bytes]:
    writer = ArchiveWriter()
    yield writer.start()
    digest = hashlib.sha256()
    for _ in range(size):
        yield writer.begin_object("a", 2**20)
        content = os.urandom(2**20)
        digest.update(content)
        yield writer.object_data(content)
        yield writer.end_object()
    yield writer.index()
    manifest = Manifest(
        created_at=datetime(2026, 1, 1, tzinfo=UTC), tenant="acme", tenant_id=TENANT, plan="team", cell="shared-1",
        cell_id="c00000000001", resource={}, schemas={}, tables=[], users=0, objects=writer.objects,
        object_bytes=writer.object_bytes, parts=writer.parts,
    )  # fmt: skip
    yield writer.manifest(manifest) if whole else b""


async def test_an_archive_is_kept_where_no_cell_reaches_it(world: World, cell: CellRef) -> None:
    await world.slice.ensure(cell)
    settings = world.settings.model_copy(update={"archive_prefix": "production/"})
    depot = BucketDepot(settings, world.client())
    size = await depot.write("acme.tar.gz", archive(24))
    assert size > 20 * 2**20
    manifest, digest = await depot.verify("acme.tar.gz")
    assert (manifest.objects, len(digest)) == (24, 64)
    assert await depot.keep("acme.tar.gz") == "s3://archives/production/acme.tar.gz"
    assert await world.admin.listed("archives", "production/") == ["production/acme.tar.gz"]
    with pytest.raises(S3Error):
        await world.admin.listed("archives", keys=await world.keys(cell))
    assert names.bucket(cell.cell_id) != "archives"
    await depot.discard("acme.tar.gz")
    await depot.close()


async def test_half_an_archive_is_not_verified(world: World) -> None:
    depot = BucketDepot(world.settings, world.client())
    await depot.write("half.tar.gz", archive(2, whole=False))
    with pytest.raises(ArchiveError):
        await depot.verify("half.tar.gz")
    await depot.discard("half.tar.gz")
    await depot.discard("half.tar.gz")

    async def broken() -> AsyncIterator[bytes]:
        yield b"some bytes"
        raise RuntimeError("the store broke in the middle")

    with pytest.raises(Exception, match="the store broke in the middle"):
        await depot.write("broken.tar.gz", broken())
    assert "broken.tar.gz" not in await world.admin.listed("archives")
    await depot.close()
