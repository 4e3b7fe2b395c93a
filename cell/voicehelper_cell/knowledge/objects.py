"""The original bytes of documents. Every path is built here, from a TenantContext."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from voicehelper_core import names
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import Unavailable

_RETRIES, _RETRY_SECONDS, _SECONDS = 3, 5, 30
"""Of a request to an S3 server, and how long one may take. obstore would try for three minutes."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A cell's bucket on an S3 server, and the credentials that reach it."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)

    def open(self, name: str) -> Any:
        """A store of obstore; the server is addressed by paths, which asks for no names in DNS."""
        from obstore.store import S3Store

        return S3Store(
            name,
            # Named so, no variable of the environment takes the place of the endpoint or adds a token to the keys.
            aws_endpoint_url_s3=self.endpoint,
            credential_provider=self._keys,
            region=self.region,
            virtual_hosted_style_request=False,
            client_options={"allow_http": self.endpoint.startswith("http://"), "timeout": timedelta(seconds=_SECONDS)},
            retry_config={"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRY_SECONDS)},
        )

    def _keys(self) -> Any:
        return {"access_key_id": self.access_key, "secret_access_key": self.secret_key, "expires_at": None}


class Objects:
    """Objects of one cell, in a folder, at an URL, or in a bucket; a tenant has its own prefix.

    Every method raises Unavailable where the store does not answer or refuses.
    """

    def __init__(self, root: str, cell_id: str, bucket: Bucket | None = None) -> None:
        self._root, self._cell_id, self._bucket = root, names.checked(cell_id), bucket
        self._store: Any = None

    @classmethod
    def of(cls, settings: Any) -> Objects:
        """Those that the cell's settings name."""
        bucket = None
        if settings.objects_endpoint:
            bucket = Bucket(
                settings.objects_endpoint,
                settings.objects_region,
                settings.objects_access_key,
                settings.objects_secret_key,
            )
        return cls(settings.objects_root, settings.cell_id, bucket)

    async def put(self, who: TenantContext, document_id: uuid.UUID, revision: int, content: bytes) -> None:
        """Store the bytes of a revision."""
        path = f"{self._prefix(who, document_id)}/{int(revision)}"
        with _reaching():
            await self._open().put_async(path, content)

    async def get(self, who: TenantContext, document_id: uuid.UUID, revision: int) -> bytes | None:
        """The bytes of a revision, None where there are none."""
        path = f"{self._prefix(who, document_id)}/{int(revision)}"
        with _reaching():
            try:
                result = await self._open().get_async(path)
                return bytes(await result.bytes_async())
            except FileNotFoundError:
                return None

    async def delete(self, who: TenantContext, document_id: uuid.UUID, *, below: int | None = None) -> None:
        """Remove the revisions of a document, or those below a number."""
        prefix = self._prefix(who, document_id)
        with _reaching():
            store = self._open()
            listed = await store.list(prefix).collect_async()
            paths = [str(item["path"]) for item in listed]
            gone = [path for path in paths if below is None or int(path.rpartition("/")[2]) < below]
            if gone:
                await store.delete_async(gone)

    async def revisions(self, who: TenantContext) -> set[tuple[uuid.UUID, int]]:
        """Documents and revisions of the tenant of which there are bytes."""
        prefix = self._tenant(who)
        with _reaching():
            listed = await self._open().list(prefix).collect_async()
        parts = [str(item["path"]).split("/") for item in listed]
        return {(uuid.UUID(document), int(revision)) for _, _, document, revision in parts}

    async def remove(self, who: TenantContext, revisions: Iterable[tuple[uuid.UUID, int]]) -> None:
        """Remove single revisions."""
        paths = [f"{self._prefix(who, document_id)}/{revision}" for document_id, revision in revisions]
        with _reaching():
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

            if self._bucket is not None:
                self._store = self._bucket.open(names.bucket(self._cell_id))
            elif "://" in self._root and not self._root.startswith("file://"):
                self._store = from_url(f"{self._root.rstrip('/')}/{self._cell_id}")
            else:
                folder = Path(self._root.removeprefix("file://")) / self._cell_id
                self._store = LocalStore(folder, mkdir=True)
        return self._store


@contextmanager
def _reaching() -> Iterator[None]:
    """An event whose objects are out of reach has to wait; any other error would have it given up after some tries."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError) as error:
        raise Unavailable(f"the object store is not available ({type(error).__name__})") from error
