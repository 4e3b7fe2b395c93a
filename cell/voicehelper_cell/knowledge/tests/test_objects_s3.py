"""A cell's objects in its bucket on a real S3 server."""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable

import pytest
from voicehelper_cell.knowledge.objects import Objects
from voicehelper_cell.settings import CellSettings
from voicehelper_core import names
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import Unavailable

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1500)]  # the server may have to be built
MakeCell = Callable[[str], Awaitable[dict[str, str]]]
DOCUMENT = uuid.uuid4()


def _who(cell_id: str, tenant_id: str = "tsomebody001") -> TenantContext:
    return TenantContext(tenant_id, "somebody", "user-1", cell_id)


async def _objects(make: MakeCell, cell_id: str, **other: str) -> Objects:
    return Objects.of(CellSettings(cell_id=cell_id, **{**await make(cell_id), **other}))


async def test_revisions_come_and_go(s3_cell: MakeCell):
    cell_id = names.new_id()
    objects, who, other = await _objects(s3_cell, cell_id), _who(cell_id), _who(cell_id, "tsomebody002")
    kept, gone = uuid.uuid4(), uuid.uuid4()
    assert await objects.revisions(who) == set()
    assert await objects.get(who, kept, 1) is None
    contents = {(kept, 1): b"first", (kept, 2): bytes(6 * 2**20), (gone, 1): b"", (gone, 10): "späť".encode()}
    for (document, revision), content in contents.items():
        await objects.put(who, document, revision, content)
        await objects.put(other, document, revision, b"theirs")
    await objects.put(who, kept, 1, b"again")
    contents[kept, 1] = b"again"
    for (document, revision), content in contents.items():
        assert await objects.get(who, document, revision) == content
    assert await objects.revisions(who) == set(contents)
    await objects.delete(who, kept, below=2)
    await objects.delete(who, kept, below=2)
    assert await objects.revisions(who) == {(kept, 2), (gone, 1), (gone, 10)}
    await objects.delete(who, gone)
    await objects.delete(who, gone)
    assert await objects.revisions(who) == {(kept, 2)}
    for _ in range(2):
        await objects.remove(who, {(kept, 2)})
    assert await objects.revisions(who) == set()
    assert await objects.revisions(other) == set(contents)
    assert await objects.get(other, gone, 10) == b"theirs"


async def test_another_bucket_is_out_of_reach(s3_cell: MakeCell):
    """A cell that takes itself for another has only its own credentials."""
    cell_id, victim = names.new_id(), names.new_id()
    owner = await _objects(s3_cell, victim)
    document = uuid.uuid4()
    await owner.put(_who(victim), document, 1, b"theirs")
    told = await s3_cell(cell_id)
    intruder = Objects.of(CellSettings(cell_id=victim, **told))
    for attempt in (
        lambda: intruder.get(_who(victim), document, 1),
        lambda: intruder.put(_who(victim), document, 1, b"mine"),
        lambda: intruder.delete(_who(victim), document),
        lambda: intruder.revisions(_who(victim)),
        lambda: intruder.remove(_who(victim), [(document, 1)]),
    ):
        with pytest.raises(Unavailable):
            await attempt()
    assert await owner.get(_who(victim), document, 1) == b"theirs"
    mine = Objects.of(CellSettings(cell_id=cell_id, **told))
    with pytest.raises(PermissionError):
        await mine.get(_who(victim), document, 1)


async def test_a_server_that_does_not_answer_is_unavailable_within_seconds(s3_cell: MakeCell):
    cell_id = names.new_id()
    objects = await _objects(s3_cell, cell_id, objects_endpoint="http://127.0.0.1:9")
    begin = time.monotonic()
    for attempt in (
        lambda: objects.put(_who(cell_id), DOCUMENT, 1, b"x"),
        lambda: objects.get(_who(cell_id), DOCUMENT, 1),
        lambda: objects.delete(_who(cell_id), DOCUMENT),
        lambda: objects.revisions(_who(cell_id)),
    ):
        with pytest.raises(Unavailable, match="object store is not available"):
            await attempt()
    assert time.monotonic() - begin < 60


async def test_the_environment_of_the_process_changes_nothing(s3_cell: MakeCell, monkeypatch: pytest.MonkeyPatch):
    cell_id = names.new_id()
    for name, value in (("ACCESS_KEY_ID", "x"), ("SECRET_ACCESS_KEY", "x"), ("SESSION_TOKEN", "x"), ("REGION", "x")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    objects = await _objects(s3_cell, cell_id)
    await objects.put(_who(cell_id), DOCUMENT, 1, b"x")
    assert await objects.get(_who(cell_id), DOCUMENT, 1) == b"x"
