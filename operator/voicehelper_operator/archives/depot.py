"""Where the archives of deleted tenants lie: a folder, or a bucket."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from voicehelper_core.archive import Manifest, verify
from voicehelper_core.errors import Unavailable

from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.s3.client import S3Client


class Depot(Protocol):
    """Raises what its store's client raises."""

    async def write(self, name: str, content: AsyncIterator[bytes]) -> int:
        """Take an archive in; its size."""
        ...

    async def verify(self, name: str) -> tuple[Manifest, str]:
        """Read it back: its manifest and the SHA-256 of that. Raises ArchiveError for what does not fit it."""
        ...

    async def keep(self, name: str) -> str:
        """It is verified; where it is."""
        ...

    async def discard(self, name: str) -> None:
        """What was written is not to be kept. No error where there is nothing."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...


class FolderDepot:
    """Files with mode 0600 in a folder with mode 0700. One has its name once it is verified."""

    def __init__(self, root: str) -> None:
        self._root = Path(root)

    def _part(self, name: str) -> Path:
        return self._root / f".{name}.part"

    async def write(self, name: str, content: AsyncIterator[bytes]) -> int:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self.discard(name)  # of an operator that died
        descriptor = os.open(self._part(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            async for chunk in content:
                await asyncio.to_thread(file.write, chunk)
            file.flush()
            await asyncio.to_thread(os.fsync, descriptor)
            return file.tell()

    async def verify(self, name: str) -> tuple[Manifest, str]:
        return await asyncio.to_thread(_verified, self._part(name))

    async def keep(self, name: str) -> str:
        final = self._part(name).replace(self._root / name)
        await asyncio.to_thread(_sync_folder, self._root)
        return str(final)

    async def discard(self, name: str) -> None:
        self._part(name).unlink(missing_ok=True)

    async def close(self) -> None:
        """There is no connection."""


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _verified(path: Path) -> tuple[Manifest, str]:
    with path.open("rb") as file:
        return verify(file)


class BucketDepot:
    """Objects of a bucket that only the administrator reaches; an upload that dies leaves no object."""

    def __init__(self, settings: OperatorSettings, client: S3Client) -> None:
        self._settings, self._client = settings, client
        self._store: Any = None

    def _open(self) -> Any:
        from obstore.store import S3Store

        settings = self._settings
        if self._store is None:
            self._store = S3Store(
                settings.archive_bucket,
                aws_endpoint_url_s3=settings.objects_endpoint,
                credential_provider=self._keys,
                region=settings.objects_region,
                virtual_hosted_style_request=False,
                client_options={
                    "allow_http": settings.objects_endpoint.startswith("http://"),
                    "timeout": timedelta(seconds=120),
                },
                retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=30)},
            )
        return self._store

    def _keys(self) -> Any:
        settings = self._settings
        return {
            "access_key_id": settings.objects_admin_access_key,
            "secret_access_key": settings.objects_admin_secret_key,
            "expires_at": None,
        }

    def _key(self, name: str) -> str:
        return f"{self._settings.archive_prefix}{name}"

    async def write(self, name: str, content: AsyncIterator[bytes]) -> int:
        import obstore

        await self._client.make_bucket(self._settings.archive_bucket)
        await obstore.put_async(self._open(), self._key(name), _whole(content), max_concurrency=2)
        return int((await obstore.head_async(self._open(), self._key(name)))["size"])

    async def verify(self, name: str) -> tuple[Manifest, str]:
        return await asyncio.to_thread(self._verified, self._key(name))

    def _verified(self, key: str) -> tuple[Manifest, str]:
        import obstore

        reader = obstore.open_reader(self._open(), key, buffer_size=8 * 2**20)
        return verify(cast(BinaryIO, _Reader(reader)))

    async def keep(self, name: str) -> str:
        return f"s3://{self._settings.archive_bucket}/{self._key(name)}"

    async def discard(self, name: str) -> None:
        import obstore

        with suppress(FileNotFoundError):
            await obstore.delete_async(self._open(), self._key(name))

    async def close(self) -> None:
        """Disconnect."""
        await self._client.close()


async def _whole(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Pieces that are not empty, of a megabyte or so."""
    kept = bytearray()
    async for chunk in content:
        kept += chunk
        if len(kept) >= 2**20:
            yield bytes(kept)
            kept = bytearray()
    if kept:
        yield bytes(kept)


class _Reader:
    """What gzip asks of a file, over obstore's reader."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def read(self, size: int = -1) -> bytes:
        if size is None or size < 0:
            raise Unavailable("an archive is never read at once")
        return bytes(self._reader.read(size))


def open_depot(settings: OperatorSettings, client: S3Client | None) -> Depot:
    """The one that the settings name."""
    return FolderDepot(settings.archive_root) if client is None else BucketDepot(settings, client)
