"""Archives as files: fetched and verified before they have their name, sent piece by piece."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from voicehelper_core.archive import ArchiveError, Manifest
from voicehelper_core.archive import verify as verify_archive

from voicehelper_cli.client import RouterClient
from voicehelper_cli.failures import Failure

_CHUNK = 2**20
Event = dict[str, Any]


def checked(file: Path) -> tuple[Manifest, str]:
    """Manifest and its SHA-256. Raises Failure that says what is wrong with the file."""
    try:
        with file.open("rb") as opened:
            return verify_archive(opened)
    except ArchiveError as error:
        raise Failure(f"{file}: {error.detail}") from None
    except OSError as error:
        raise Failure(f"{file}: {error.strerror or error}") from None


def described(manifest: Manifest, digest: str, size: int) -> dict[str, Any]:
    """What people want to know of an archive."""
    kept = {
        "tenant",
        "tenant_id",
        "plan",
        "cell",
        "cell_id",
        "created_at",
        "schemas",
        "users",
        "objects",
        "object_bytes",
    }
    rows = {table.title: table.rows for table in manifest.tables}
    return {**manifest.model_dump(mode="json", include=kept), "rows": rows, "digest": digest, "bytes": size}


async def download(client: RouterClient, name: str, output: Path) -> dict[str, Any]:
    """Fetch an archive into a file that nobody else may read. Raises Failure, and leaves nothing then."""
    part, began = output.with_name(f".{output.name}.part"), time.monotonic()
    try:
        with suppress(FileNotFoundError):
            part.unlink()
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            async for chunk in client.download(f"/api/v1/identity/tenants/{name}/export"):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        seconds = time.monotonic() - began
        manifest, digest = checked(part)
        part.replace(output)
    except OSError as error:
        raise Failure(f"{output}: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            part.unlink()
    return {**described(manifest, digest, output.stat().st_size), "seconds": round(seconds, 2)}


async def upload(
    client: RouterClient, file: Path, wishes: Mapping[str, str], told: Callable[[Event], None]
) -> dict[str, Any]:
    """Send an archive; what was restored. Raises Failure."""
    last: Event = {"event": "failed", "detail": "the answer broke off: run the same command again"}
    path = "/api/v1/identity/tenants/import"
    async for line in client.upload(path, _pieces(file), params=wishes):
        last = json.loads(line)
        told(last)
    if last["event"] != "restored":
        detail = last.get("detail") or "the answer broke off: run the same command again"
        raise Failure(f"{detail} (HTTP {last['status']})" if "status" in last else str(detail))
    return last


async def _pieces(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            yield chunk
