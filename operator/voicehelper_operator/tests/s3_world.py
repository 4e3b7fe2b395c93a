"""A real S3 server, an operator of it, and who may do what there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from obstore.store import S3Store
from voicehelper_core import names
from voicehelper_core.embedded_secrets import FileSecretStore

from voicehelper_operator.cells.specs import objects_config
from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.credentials import CellCredentials
from voicehelper_operator.slices.interface import CellRef
from voicehelper_operator.slices.s3 import S3ObjectsSlice
from voicehelper_operator.slices.s3.client import Keys, S3Client, S3Error

MINUTES = pytest.mark.timeout(1500)
"""The server may have to be built first."""


class World:
    """A server, an operator of it, and who may do what there."""

    def __init__(self, settings: OperatorSettings, folder: Path) -> None:
        self.settings, self.credentials = settings, CellCredentials(FileSecretStore(folder))
        self.admin = self.client()
        self.slice = S3ObjectsSlice(settings, self.credentials)

    def client(self) -> S3Client:
        keys = Keys(self.settings.objects_admin_access_key, self.settings.objects_admin_secret_key)
        return S3Client(self.settings.objects_endpoint, self.settings.objects_region, keys)

    async def keys(self, cell: CellRef) -> Keys:
        told = objects_config(self.settings, await self.credentials.of(cell.cell_id), cell.cell_id)
        return Keys(told["objects_access_key"], told["objects_secret_key"])

    async def store(self, cell: CellRef, bucket_of: CellRef | None = None) -> S3Store:
        """A cell's own bucket or that of another, with the cell's credentials."""
        keys = await self.keys(cell)
        return S3Store(
            names.bucket((bucket_of or cell).cell_id),
            endpoint=self.settings.objects_endpoint,
            region=self.settings.objects_region,
            access_key_id=keys.access,
            secret_access_key=keys.secret,
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
        )

    async def refused(self, *request: Any, keys: Keys) -> str:
        """The code with which the server refuses a request; fails where it does not."""
        try:
            answer = await self.admin.call(*request, keys=keys)
        except S3Error as error:
            return error.code
        raise AssertionError(f"{request} was allowed: {answer}")

    async def accounts(self) -> str:
        return await self.admin.call("PATCH", "/list-users")


@pytest.fixture
async def world(s3: Any, tmp_path: Path) -> AsyncIterator[World]:
    settings = OperatorSettings(
        objects_endpoint=s3.endpoint,
        objects_region=s3.region,
        objects_admin_access_key=s3.access_key,
        objects_admin_secret_key=s3.secret_key,
    )
    made = World(settings, tmp_path)
    yield made
    await made.slice.close()
    await made.admin.close()


@pytest.fixture
def cell() -> CellRef:
    return CellRef(names.new_id())


@pytest.fixture
def other() -> CellRef:
    return CellRef(names.new_id())
