"""Objects on an S3 server: a bucket per cell and an account, two while passwords are rotated; a prefix per tenant."""

from __future__ import annotations

from collections.abc import Sequence

from voicehelper_core import cell_bundle, names
from voicehelper_core.names import ACCOUNTS

from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.credentials import CellCredentials, Rotation
from voicehelper_operator.slices.interface import CellRef, TenantRef
from voicehelper_operator.slices.objects import making
from voicehelper_operator.slices.s3.accounts import Accounts, VersityAccounts
from voicehelper_operator.slices.s3.client import Keys, S3Client, S3Error, unless

_ARCHIVED = "<Tagging><TagSet><Tag><Key>voicehelper</Key><Value>archived</Value></Tag></TagSet></Tagging>"


class S3ObjectsSlice:
    """The server keeps cells apart: without an account of its own a cell is never ready (``verify``)."""

    store = "objects"
    isolated = True

    def __init__(self, settings: OperatorSettings, credentials: CellCredentials) -> None:
        admin = Keys(settings.objects_admin_access_key, settings.objects_admin_secret_key)
        if not (admin.access and admin.secret):
            raise ValueError("objects_endpoint needs objects_admin_access_key and objects_admin_secret_key")
        self._client = S3Client(settings.objects_endpoint, settings.objects_region, admin)
        self._accounts: Accounts = VersityAccounts(self._client)
        self._credentials = credentials

    async def close(self) -> None:
        """Disconnect."""
        await self._client.close()

    async def _keys(self, cell: CellRef) -> list[Keys]:
        """Of the open accounts."""
        bundle = await self._credentials.of(cell.cell_id)
        return [
            Keys(names.objects_user(cell.cell_id, account), bundle[cell_bundle.key(cell_bundle.OBJECTS, account)])
            for account in Rotation.of(bundle).open
        ]

    async def observe(self, cell: CellRef) -> list[str]:
        return await self._missing(cell, await self._keys(cell))

    async def _missing(self, cell: CellRef, keys: Sequence[Keys]) -> list[str]:
        bucket, missing = names.bucket(cell.cell_id), []
        try:
            await self._client.listed(bucket, limit=1)
        except S3Error as error:
            if error.code != "NoSuchBucket":
                raise
            missing = [f"bucket {bucket}"]
        ends = [f"the end of account {access}" for access in _closed(cell, keys) if await self._accounts.exists(access)]
        return [*missing, *await self._accounts.missing(keys, bucket), *ends]

    async def ensure(self, cell: CellRef) -> list[str]:
        keys = await self._keys(cell)
        missing = await self._missing(cell, keys)
        if missing:
            bucket = names.bucket(cell.cell_id)
            async with making():
                for item in keys:
                    await self._accounts.create(item)
                await self._client.make_bucket(bucket)
                await self._accounts.allow([item.access for item in keys], bucket)
                for access in _closed(cell, keys):
                    await self._accounts.remove(access)
        return missing

    async def verify(self, cell: CellRef) -> str | None:
        for keys in await self._keys(cell):
            try:
                await self._client.listed(names.bucket(cell.cell_id), limit=1, keys=keys)
            except S3Error as error:
                return f"the cell's account cannot use its bucket: {error}"
        return None

    async def let_migrate(self, cell: CellRef, *, allowed: bool) -> None:
        """There is nothing to migrate."""

    async def archive(self, cell: CellRef) -> None:
        bucket = names.bucket(cell.cell_id)
        await self._lock_out(cell)
        with unless("NoSuchBucket"):
            await self._client.call("PUT", f"/{bucket}", {"tagging": ""}, _ARCHIVED)

    async def remove(self, cell: CellRef) -> None:
        """Access first, so that nothing is written any more while the objects go."""
        bucket = names.bucket(cell.cell_id)
        await self._lock_out(cell)
        with unless("NoSuchBucket"):
            await self._client.empty(bucket)
            await self._client.call("DELETE", f"/{bucket}")

    async def _lock_out(self, cell: CellRef) -> None:
        await self._accounts.close(names.bucket(cell.cell_id))
        for account in ACCOUNTS:
            await self._accounts.remove(names.objects_user(cell.cell_id, account))

    async def ensure_tenant(self, cell: CellRef, tenant: TenantRef) -> list[str]:
        return []  # a prefix is there as soon as something is written below it

    async def lacking(self, cell: CellRef, tenants: Sequence[TenantRef]) -> set[str]:
        return set()

    async def remove_tenant(self, cell: CellRef, tenant_id: str, *, data: bool) -> None:
        if data:
            with unless("NoSuchBucket"):
                await self._client.empty(names.bucket(cell.cell_id), f"{names.checked(tenant_id)}/")


def _closed(cell: CellRef, keys: Sequence[Keys]) -> list[str]:
    """Accounts that should not be there."""
    ours = [names.objects_user(cell.cell_id, account) for account in ACCOUNTS]
    return [access for access in ours if access not in {item.access for item in keys}]
