"""What keeps the buckets of two cells apart on a real S3 server, and that it comes back when somebody takes it away."""

from __future__ import annotations

import pytest
from voicehelper_core import names

from voicehelper_operator.slices.interface import CellRef
from voicehelper_operator.slices.s3.client import Keys, S3Client, S3Error
from voicehelper_operator.tests.s3_world import MINUTES, World, cell, other, world

__all__ = ["cell", "other", "world"]
pytestmark = [pytest.mark.integration, MINUTES]


class Copying(S3Client):
    """Requests that name an object to copy."""

    def __init__(self, endpoint: str, region: str, keys: Keys, source: str) -> None:
        super().__init__(endpoint, region, keys)
        self.source = source

    def _headers(self, body: bytes) -> list[tuple[str, str]]:
        return [*super()._headers(body), ("x-amz-copy-source", self.source)]


async def test_a_cell_reaches_nothing_of_another(world: World, cell: CellRef, other: CellRef):
    await world.slice.ensure(cell)
    await world.slice.ensure(other)
    mine, theirs = names.bucket(cell.cell_id), names.bucket(other.cell_id)
    await (await world.store(other)).put_async("secret", b"theirs")
    keys = await world.keys(cell)
    intruder = await world.store(cell, bucket_of=other)
    for attempt in (
        lambda: intruder.get_async("secret"),
        lambda: intruder.put_async("planted", b"x"),
        lambda: intruder.put_async("secret", b"x"),
        lambda: intruder.delete_async(["secret"]),
        lambda: intruder.head_async("secret"),
        lambda: intruder.list().collect_async(),
        lambda: intruder.copy_async("secret", "copy"),
    ):
        with pytest.raises(Exception, match=r"(?i)denied|403"):
            await attempt()
    assert await world.refused("GET", f"/{theirs}", {"list-type": "2"}, keys=keys) == "AccessDenied"
    visible = await world.admin.call("GET", "/", keys=keys)
    assert "ListAllMyBucketsResult" in visible and theirs not in visible
    owner = await world.store(other)
    assert [item["path"] for item in await owner.list().collect_async()] == ["secret"]
    assert bytes(await (await owner.get_async("secret")).bytes_async()) == b"theirs"
    assert await world.admin.listed(mine) == []


async def test_nobody_copies_from_another_bucket(world: World, cell: CellRef, other: CellRef):
    """The server reads the source itself, on behalf of whoever asks."""
    await world.slice.ensure(cell)
    await world.slice.ensure(other)
    keys, bucket = await world.keys(cell), names.bucket(cell.cell_id)
    for each in (cell, other):
        await (await world.store(each)).put_async("secret", b"content")
    answers = {}
    for source in (bucket, names.bucket(other.cell_id)):
        copying = Copying(world.settings.objects_endpoint, world.settings.objects_region, keys, f"/{source}/secret")
        try:
            answers[source] = await copying.call("PUT", f"/{bucket}/copy-of-{source}")
        except S3Error as error:
            answers[source] = error.code
        await copying.close()
    assert "CopyObjectResult" in answers[bucket]
    assert answers[names.bucket(other.cell_id)] == "AccessDenied"
    assert sorted(await world.admin.listed(bucket)) == [f"copy-of-{bucket}", "secret"]


async def test_a_cell_cannot_change_its_bucket_or_accounts(world: World, cell: CellRef):
    await world.slice.ensure(cell)
    keys, bucket = await world.keys(cell), f"/{names.bucket(cell.cell_id)}"
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket[1:]}"}
    statement = str({"Version": "2012-10-17", "Statement": [everybody]}).replace("'", '"')
    for request in (
        ("GET", bucket, {"policy": ""}),
        ("PUT", bucket, {"policy": ""}, statement),
        ("DELETE", bucket, {"policy": ""}),
        ("DELETE", bucket),
        ("PUT", "/another-bucket"),
        (
            "PUT",
            bucket,
            {"versioning": ""},
            "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
        ),
    ):
        assert await world.refused(*request, keys=keys) == "AccessDenied", request
    for request in (
        ("PATCH", "/list-users"),
        ("PATCH", "/list-buckets"),
        ("PATCH", "/create-user", {}, "<Account><Access>x</Access><Secret>y</Secret><Role>admin</Role></Account>"),
        ("PATCH", "/update-user", {"access": keys.access}, "<MutableProps><Role>admin</Role></MutableProps>"),
        ("PATCH", "/delete-user", {"access": keys.access}),
        ("PATCH", "/change-bucket-owner", {"bucket": bucket[1:], "owner": keys.access}),
    ):
        assert await world.refused(*request, keys=keys) == "XAdminAccessDenied", request
    assert await world.slice.observe(cell) == []


async def test_a_wrong_secret_and_a_stranger_are_refused(world: World, cell: CellRef):
    await world.slice.ensure(cell)
    bucket, keys = f"/{names.bucket(cell.cell_id)}", await world.keys(cell)
    query = {"list-type": "2"}
    wrong, stranger = Keys(keys.access, "x" * 32), Keys(names.new_id(), keys.secret)
    assert await world.refused("GET", bucket, query, keys=wrong) == "SignatureDoesNotMatch"
    assert await world.refused("GET", bucket, query, keys=stranger) == "InvalidAccessKeyId"


@pytest.mark.parametrize(
    ("drift", "found"),
    [
        ("bucket", "bucket "),
        ("account", "account "),
        ("secret", "account "),
        ("role", "role of account "),
        ("policy gone", "policy of bucket "),
        ("policy of everybody", "policy of bucket "),
    ],
)
async def test_drift_is_found_and_made_right(world: World, cell: CellRef, drift: str, found: str):
    await world.slice.ensure(cell)
    bucket, user = f"/{names.bucket(cell.cell_id)}", names.objects_user(cell.cell_id)
    everybody = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", '
        f'"Resource": "arn:aws:s3:::{bucket[1:]}/*"}}]}}'
    )
    change = {
        "bucket": ("DELETE", bucket),
        "account": ("PATCH", "/delete-user", {"access": user}),
        "secret": ("PATCH", "/update-user", {"access": user}, "<MutableProps><Secret>other</Secret></MutableProps>"),
        "role": ("PATCH", "/update-user", {"access": user}, "<MutableProps><Role>admin</Role></MutableProps>"),
        "policy gone": ("DELETE", bucket, {"policy": ""}),
        "policy of everybody": ("PUT", bucket, {"policy": ""}, everybody),
    }[drift]
    await world.admin.call(*change)
    missing = await world.slice.observe(cell)
    assert missing and missing[0].startswith(found)
    assert await world.slice.ensure(cell) == missing
    assert await world.slice.observe(cell) == []
    assert await world.slice.verify(cell) is None
