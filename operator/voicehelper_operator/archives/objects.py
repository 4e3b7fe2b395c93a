"""A tenant's objects by their keys below its prefix, in a folder or in a bucket."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from voicehelper_core import names
from voicehelper_core.errors import Unprocessable

from voicehelper_operator.slices.s3.client import S3Client, S3Error, unless

CHUNK = 2**20


class TenantObjects(Protocol):
    """Of all cells."""

    def keys(self, cell_id: str, tenant_id: str, below: str = "") -> AsyncIterator[str]:
        """Keys, or those below a folder; none where the cell has no place for objects any more."""
        ...

    async def get(self, cell_id: str, tenant_id: str, key: str) -> tuple[int, AsyncIterator[bytes]] | None:
        """Size and bytes; None for one that is gone."""
        ...

    async def put(self, cell_id: str, tenant_id: str, key: str, content: bytes) -> None:
        """Write one, over what is there. Raises Unprocessable for a key that cannot be one."""
        ...

    async def remove(self, cell_id: str, tenant_id: str, key: str) -> None:
        """Remove one; no error for one that is gone."""
        ...

    async def clear(self, cell_id: str, tenant_id: str) -> None:
        """Remove all."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...


class FolderObjects:
    """Files below ``<root>/<cell>/<tenant>``.

    A cell writes there, and could place links to what only the operator may read: no link is ever followed.
    """

    def __init__(self, root: str) -> None:
        self._root = Path(root.removeprefix("file://"))

    async def keys(self, cell_id: str, tenant_id: str, below: str = "") -> AsyncIterator[str]:
        pending = [below]
        while pending:
            folder = pending.pop()
            for name, kind in await asyncio.to_thread(self._scan, cell_id, tenant_id, folder):
                key = f"{folder}/{name}" if folder else name
                if kind == "folder":
                    pending.append(key)
                else:
                    yield key

    def _scan(self, cell_id: str, tenant_id: str, folder: str) -> list[tuple[str, str]]:
        try:
            with (
                _folder(self._root, cell_id, tenant_id, *_parts(folder)) as descriptor,
                os.scandir(descriptor) as found,
            ):
                return sorted(
                    (item.name, "folder" if item.is_dir(follow_symlinks=False) else "file")
                    for item in found
                    if item.is_dir(follow_symlinks=False) or item.is_file(follow_symlinks=False)
                )
        except (FileNotFoundError, NotADirectoryError):
            return []

    async def get(self, cell_id: str, tenant_id: str, key: str) -> tuple[int, AsyncIterator[bytes]] | None:
        try:
            descriptor = await asyncio.to_thread(self._open, cell_id, tenant_id, key)
        except FileNotFoundError:
            return None
        return os.fstat(descriptor).st_size, _chunks(descriptor)

    def _open(self, cell_id: str, tenant_id: str, key: str) -> int:
        *folders, name = _parts(key)
        with _folder(self._root, cell_id, tenant_id, *folders) as folder:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise FileNotFoundError(key)
        return descriptor

    async def put(self, cell_id: str, tenant_id: str, key: str, content: bytes) -> None:
        await asyncio.to_thread(self._write, cell_id, tenant_id, key, content)

    def _write(self, cell_id: str, tenant_id: str, key: str, content: bytes) -> None:
        *folders, name = _parts(key)
        with _folder(self._root, cell_id, tenant_id, *folders, make=True) as folder:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)  # a link, too
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(name, flags, 0o666, dir_fd=folder), "wb") as file:
                file.write(content)

    async def remove(self, cell_id: str, tenant_id: str, key: str) -> None:
        *folders, name = _parts(key)

        def unlink() -> None:
            with suppress(FileNotFoundError), _folder(self._root, cell_id, tenant_id, *folders) as folder:
                os.unlink(name, dir_fd=folder)

        await asyncio.to_thread(unlink)

    async def clear(self, cell_id: str, tenant_id: str) -> None:
        folder = self._root / names.checked(cell_id) / names.checked(tenant_id)
        if await asyncio.to_thread(folder.exists):
            await asyncio.to_thread(shutil.rmtree, folder)

    async def close(self) -> None:
        """There is no connection."""


def _parts(key: str) -> list[str]:
    """Raises Unprocessable for what leads elsewhere."""
    parts = key.split("/") if key else []
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise Unprocessable(f"the object's key {key[:200]!r} is no path below a folder")
    return parts


@contextmanager
def _folder(root: Path, cell_id: str, tenant_id: str, *parts: str, make: bool = False) -> Iterator[int]:
    """A descriptor of a folder that was reached without following a link below the root."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    with ExitStack() as stack:
        descriptor = os.open(root / names.checked(cell_id), flags)
        stack.callback(os.close, descriptor)
        for part in (names.checked(tenant_id), *parts):
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o777, dir_fd=descriptor)
            descriptor = os.open(part, flags, dir_fd=descriptor)
            stack.callback(os.close, descriptor)
        yield descriptor


async def _chunks(descriptor: int) -> AsyncIterator[bytes]:
    with os.fdopen(descriptor, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            yield chunk


class BucketObjects:
    """Objects of a cell's bucket, as the server's administrator."""

    def __init__(self, client: S3Client) -> None:
        self._client = client

    async def keys(self, cell_id: str, tenant_id: str, below: str = "") -> AsyncIterator[str]:
        tenant, last = f"{names.checked(tenant_id)}/", ""
        prefix = f"{tenant}{below}/" if below else tenant
        while True:
            keys: list[str] = []
            with unless("NoSuchBucket"):
                keys = await self._client.listed(names.bucket(cell_id), prefix, after=last)
            for key in keys:
                yield key.removeprefix(tenant)
            if not keys:
                return
            last = keys[-1]

    async def get(self, cell_id: str, tenant_id: str, key: str) -> tuple[int, AsyncIterator[bytes]] | None:
        try:
            content = await self._client.download(names.bucket(cell_id), f"{names.checked(tenant_id)}/{key}")
        except S3Error as error:
            if error.code in ("NoSuchKey", "404"):
                return None
            raise
        return len(content), _once(content)

    async def put(self, cell_id: str, tenant_id: str, key: str, content: bytes) -> None:
        await self._client.upload(names.bucket(cell_id), f"{names.checked(tenant_id)}/{key}", content)

    async def remove(self, cell_id: str, tenant_id: str, key: str) -> None:
        await self._client.remove(names.bucket(cell_id), [f"{names.checked(tenant_id)}/{key}"])

    async def clear(self, cell_id: str, tenant_id: str) -> None:
        with unless("NoSuchBucket"):
            await self._client.empty(names.bucket(cell_id), f"{names.checked(tenant_id)}/")

    async def close(self) -> None:
        """Disconnect."""
        await self._client.close()


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
