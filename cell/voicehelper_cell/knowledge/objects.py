"""The original bytes of documents. Every path is built here, from a TenantContext."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from voicehelper_core import names
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import Unavailable


class Objects:
    """Objects of one cell, in a folder or at an URL such as ``s3://bucket``; a tenant has its own prefix."""

    def __init__(self, root: str, cell_id: str) -> None:
        self._root, self._cell_id = root, names.checked(cell_id)
        self._store: Any = None

    async def put(self, who: TenantContext, document_id: uuid.UUID, revision: int, content: bytes) -> None:
        """Store the bytes of a revision. Raises Unavailable."""
        from obstore.exceptions import BaseError

        try:
            await self._open().put_async(f"{self._prefix(who, document_id)}/{int(revision)}", content)
        except (BaseError, OSError) as error:
            raise Unavailable(f"the object store is not available ({type(error).__name__})") from error

    async def get(self, who: TenantContext, document_id: uuid.UUID, revision: int) -> bytes | None:
        """The bytes of a revision, None where there are none."""
        try:
            result = await self._open().get_async(f"{self._prefix(who, document_id)}/{int(revision)}")
            return bytes(await result.bytes_async())
        except FileNotFoundError:
            return None

    async def delete(self, who: TenantContext, document_id: uuid.UUID, *, below: int | None = None) -> None:
        """Remove the revisions of a document, or those below a number."""
        store = self._open()
        listed = await store.list(self._prefix(who, document_id)).collect_async()
        paths = [str(item["path"]) for item in listed]
        gone = [path for path in paths if below is None or int(path.rpartition("/")[2]) < below]
        if gone:
            await store.delete_async(gone)

    async def revisions(self, who: TenantContext) -> set[tuple[uuid.UUID, int]]:
        """Documents and revisions of the tenant of which there are bytes."""
        listed = await self._open().list(self._tenant(who)).collect_async()
        parts = [str(item["path"]).split("/") for item in listed]
        return {(uuid.UUID(document), int(revision)) for _, _, document, revision in parts}

    async def remove(self, who: TenantContext, revisions: Iterable[tuple[uuid.UUID, int]]) -> None:
        """Remove single revisions."""
        paths = [f"{self._prefix(who, document_id)}/{revision}" for document_id, revision in revisions]
        if paths:
            await self._open().delete_async(paths)

    def _prefix(self, who: TenantContext, document_id: uuid.UUID) -> str:
        return f"{self._tenant(who)}/{uuid.UUID(str(document_id))}"

    def _tenant(self, who: TenantContext) -> str:
        if who.cell_id != self._cell_id:
            raise PermissionError("the context belongs to another cell")
        return f"{names.checked(who.tenant_id)}/documents"

    def _open(self) -> Any:
        if self._store is None:
            from obstore.store import LocalStore, from_url

            if "://" in self._root and not self._root.startswith("file://"):
                self._store = from_url(f"{self._root.rstrip('/')}/{self._cell_id}")
            else:
                folder = Path(self._root.removeprefix("file://")) / self._cell_id
                self._store = LocalStore(folder, mkdir=True)
        return self._store
