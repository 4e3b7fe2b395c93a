"""Buckets and accounts of cells on a real S3 server: their life, and deaths in between."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from voicehelper_core import faults, names
from voicehelper_core.embedded_secrets import FileSecretStore
from voicehelper_core.errors import Unavailable

from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.credentials import CellCredentials
from voicehelper_operator.slices.interface import CellRef, TenantRef
from voicehelper_operator.slices.s3 import S3ObjectsSlice
from voicehelper_operator.slices.s3.accounts import VersityAccounts
from voicehelper_operator.slices.s3.client import S3Client, S3Error
from voicehelper_operator.tests.s3_world import MINUTES, World, cell, other, world

__all__ = ["cell", "other", "world"]
pytestmark = [pytest.mark.integration, MINUTES]
TENANT = TenantRef("tsomebody001", "somebody")


async def test_life_of_a_slice(world: World, cell: CellRef):
    bucket, account = names.bucket(cell.cell_id), names.objects_user(cell.cell_id)
    everything = [f"bucket {bucket}", f"account {account}", f"policy of bucket {bucket}"]
    assert await world.slice.observe(cell) == everything
    assert "cannot use its bucket" in str(await world.slice.verify(cell))
    assert await world.slice.ensure(cell) == everything
    assert await world.slice.ensure(cell) == []
    assert await world.slice.observe(cell) == []
    assert await world.slice.verify(cell) is None
    assert await world.slice.ensure_tenant(cell, TENANT) == []
    assert await world.slice.lacking(cell, [TENANT]) == set()
    store = await world.store(cell)
    await store.put_async("some/key", b"content")
    assert bytes(await (await store.get_async("some/key")).bytes_async()) == b"content"
    for _ in range(2):
        await world.slice.remove(cell)
    assert await world.slice.observe(cell) == everything
    assert account not in await world.accounts()


async def test_a_look_that_finds_nothing_missing_writes_nothing(world: World, cell: CellRef, monkeypatch):
    await world.slice.ensure(cell)
    sent = []

    async def call(self: S3Client, method: str, path: str, *more: Any, **named: Any) -> str:
        sent.append(method)
        return await real(self, method, path, *more, **named)

    real = S3Client.call
    monkeypatch.setattr(S3Client, "call", call)
    assert await world.slice.ensure(cell) == []
    assert await world.slice.verify(cell) is None
    assert set(sent) == {"GET"} and len(sent) == 5


async def test_two_accounts_while_passwords_are_rotated_and_one_after(world: World, cell: CellRef):
    await world.slice.ensure(cell)
    credentials, bucket = world.credentials, f"/{names.bucket(cell.cell_id)}"
    old = await world.keys(cell)
    await world.admin.call("PUT", f"{bucket}/a/key", body="content", keys=old)
    first, second = names.objects_user(cell.cell_id), names.objects_user(cell.cell_id, "b")
    await credentials.begin(cell.cell_id, "now")
    assert await world.slice.observe(cell) == [f"account {second}", f"policy of bucket {names.bucket(cell.cell_id)}"]
    for step in (None, credentials.switch):
        if step:
            await step(cell.cell_id)
        await world.slice.ensure(cell)
        assert await world.slice.observe(cell) == []
        assert await world.slice.verify(cell) is None
        assert await world.admin.call("GET", f"{bucket}/a/key", keys=old) == "content"
    new = await world.keys(cell)
    assert new.access == second and new.secret != old.secret
    assert await world.admin.call("GET", f"{bucket}/a/key", keys=new) == "content"
    await credentials.close(cell.cell_id)
    assert f"the end of account {first}" in await world.slice.ensure(cell)
    await credentials.finish(cell.cell_id)
    assert await world.slice.ensure(cell) == []
    assert await world.slice.verify(cell) is None
    assert await world.refused("GET", f"{bucket}/a/key", keys=old) == "InvalidAccessKeyId"
    assert await world.admin.call("GET", f"{bucket}/a/key", keys=new) == "content"
    await credentials.begin(cell.cell_id, "again")
    await world.slice.ensure(cell)
    assert f"<Access>{first}</Access>" in await world.accounts()
    await world.slice.remove(cell)
    assert cell.cell_id not in await world.accounts()


class Died(BaseException):
    """As if the process had been killed."""


@pytest.mark.parametrize("what", ["ensure", "open", "close", "remove", "archive"])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_dying_at_any_request_means_doing_it_again(
    world: World, cell: CellRef, what: str, moment: str, monkeypatch: pytest.MonkeyPatch
):
    real, left = S3Client.call, [0]

    async def call(self: S3Client, *request: Any, **named: Any) -> str:
        left[0] -= 1
        if left[0] == 0 and moment == "before":
            raise Died
        try:
            return await real(self, *request, **named)
        finally:
            if left[0] == 0:
                raise Died

    monkeypatch.setattr(S3Client, "call", call)
    for point in range(1, 30):
        target = CellRef(names.new_id())
        operator = S3ObjectsSlice(world.settings, world.credentials)
        left[0] = -1
        if what != "ensure":
            await operator.ensure(target)
            await (await world.store(target)).put_async("a/key", b"content")
        if what in ("open", "close"):
            await world.credentials.begin(target.cell_id, "now")
        if what == "close":
            await operator.ensure(target)
            await world.credentials.switch(target.cell_id)
            await world.credentials.close(target.cell_id)
        effect = "ensure" if what in ("open", "close") else what
        left[0] = point
        try:
            await getattr(operator, effect)(target)
        except Died:
            finished = False
        else:
            finished = True
        await operator.close()
        left[0] = -1
        for _ in range(2):
            await getattr(world.slice, effect)(target)
        await _is_done(world, target, what)
        if finished:
            assert point > 2
            return
    raise AssertionError("it never came to an end")


async def _is_done(world: World, cell: CellRef, what: str) -> None:
    bucket = names.bucket(cell.cell_id)
    if what in ("ensure", "open", "close"):
        assert await world.slice.observe(cell) == []
        assert await world.slice.verify(cell) is None
        accounts = await world.accounts()
        there = {name for name in names.ACCOUNTS if f"<Access>{names.objects_user(cell.cell_id, name)}<" in accounts}
        assert there == {"ensure": {"a"}, "open": {"a", "b"}, "close": {"b"}}[what]
        return
    assert names.objects_user(cell.cell_id) not in await world.accounts()
    buckets = await world.admin.call("GET", "/")
    assert (bucket in buckets) == (what == "archive")
    if what == "archive":
        assert await world.admin.listed(bucket) == ["a/key"]


async def test_the_fault_points_are_those_of_the_folder(world: World, cell: CellRef, monkeypatch: pytest.MonkeyPatch):
    seen = []

    async def point(name: str) -> None:
        seen.append(name)

    monkeypatch.setattr(faults, "point", point)
    await world.slice.ensure(cell)
    assert [name for name in seen if "objects" in name] == ["operator.objects.before", "operator.objects.effect"]


async def test_an_archive_keeps_the_data_and_lets_nobody_in(world: World, cell: CellRef):
    await world.slice.ensure(cell)
    await (await world.store(cell)).put_async("some/key", b"content")
    for _ in range(2):
        await world.slice.archive(cell)
    bucket, keys = f"/{names.bucket(cell.cell_id)}", await world.keys(cell)
    assert await world.refused("GET", f"{bucket}/some/key", keys=keys) == "InvalidAccessKeyId"
    assert await world.admin.call("GET", f"{bucket}/some/key") == "content"
    assert "<Value>archived</Value>" in await world.admin.call("GET", bucket, {"tagging": ""})
    # Whoever got the account back would still have no right to the bucket.
    await VersityAccounts(world.admin).create(keys)
    assert await world.refused("GET", f"{bucket}/some/key", keys=keys) == "AccessDenied"


async def test_what_is_gone_is_no_error(world: World, cell: CellRef):
    for _ in range(2):
        await world.slice.archive(cell)
        await world.slice.remove(cell)
        await world.slice.remove_tenant(cell, TENANT.tenant_id, data=True)


async def test_a_tenant_goes_with_its_prefix_and_no_other(world: World, cell: CellRef):
    await world.slice.ensure(cell)
    store, neighbour = await world.store(cell), f"{TENANT.tenant_id[:-1]}2"
    document = uuid.uuid4()
    for tenant in (TENANT.tenant_id, neighbour):
        for revision in (1, 2):
            await store.put_async(f"{tenant}/documents/{document}/{revision}", b"x")
    await world.slice.remove_tenant(cell, TENANT.tenant_id, data=False)
    assert len(await world.admin.listed(names.bucket(cell.cell_id))) == 4
    for _ in range(2):
        await world.slice.remove_tenant(cell, TENANT.tenant_id, data=True)
    left = await world.admin.listed(names.bucket(cell.cell_id))
    assert left == [f"{neighbour}/documents/{document}/{revision}" for revision in (1, 2)]
    with pytest.raises(ValueError, match="not an id"):
        await world.slice.remove_tenant(cell, "", data=True)


async def test_more_objects_than_one_request_lists(world: World, cell: CellRef, monkeypatch: pytest.MonkeyPatch):
    await world.slice.ensure(cell)
    store = await world.store(cell)
    for number in range(25):
        await store.put_async(f"{TENANT.tenant_id}/{number}", b"x")
    monkeypatch.setattr(S3Client.listed, "__kwdefaults__", {"limit": 10, "after": "", "keys": None})
    await world.slice.remove(cell)
    assert names.bucket(cell.cell_id) not in await world.admin.call("GET", "/")


async def test_keys_that_obstore_would_not_write_go_too(world: World, cell: CellRef):
    await world.slice.ensure(cell)
    keys, bucket = await world.keys(cell), f"/{names.bucket(cell.cell_id)}"
    for key in ("folder/", "a%20b%26%3Cc%3E", "d//e", "%25zz", "%C3%A4%22%27"):
        await world.admin.call("PUT", f"{bucket}/{key}", keys=keys)
    await world.slice.remove(cell)
    assert bucket[1:] not in await world.admin.call("GET", "/")


async def test_a_server_that_does_not_answer_is_named(world: World, cell: CellRef, tmp_path: Path):
    settings = world.settings.model_copy(update={"objects_endpoint": "http://127.0.0.1:9"})
    away = S3ObjectsSlice(settings, world.credentials)
    with pytest.raises(Unavailable, match=r"S3 server at http://127\.0\.0\.1:9"):
        await away.ensure(cell)
    await away.close()


async def test_a_bucket_of_somebody_else_is_left_alone(world: World, cell: CellRef, other: CellRef):
    """Not taken over: whose it is, is for people to find out."""
    await world.slice.ensure(other)
    keys = await world.keys(other)
    admin = "<MutableProps><Role>admin</Role></MutableProps>"
    await world.admin.call("PATCH", "/update-user", {"access": keys.access}, admin)
    await world.admin.call("PUT", f"/{names.bucket(cell.cell_id)}", keys=keys)
    with pytest.raises(S3Error, match="BucketAlreadyExists"):
        await world.slice.ensure(cell)


@pytest.mark.parametrize("endpoint", ["s3.example", "s3://bucket"])
def test_an_endpoint_is_an_url(endpoint: str):
    with pytest.raises(ValidationError, match="objects_endpoint"):
        OperatorSettings(objects_endpoint=endpoint)


def test_an_endpoint_needs_an_administrator(tmp_path: Path):
    settings = OperatorSettings(objects_endpoint="http://s3.example", objects_admin_access_key="admin")
    with pytest.raises(ValueError, match="objects_admin_secret_key"):
        S3ObjectsSlice(settings, CellCredentials(FileSecretStore(tmp_path)))
