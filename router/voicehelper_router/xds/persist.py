"""The last facts on disk: what is served when Postgres is down at the start."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError
from voicehelper_core import faults
from voicehelper_core.log import get_logger

from voicehelper_router.xds.cache import Cache
from voicehelper_router.xds.facts import CellFacts, TenantFacts

log = get_logger(__name__)
_PIECE = 200
"""Tenants that are written at once, about 0.1 ms: a change passes through the loop some ten times on its way."""
_REST = 29
"""How much longer than the last save to wait before the next."""
_TENANTS = TypeAdapter(list[TenantFacts])


class Saved(BaseModel):
    """Content of the file."""

    saved_at: datetime
    tenants: list[TenantFacts]
    cells: list[CellFacts]


def write_atomically(path: Path, parts: Iterable[bytes]) -> None:
    """Readers see the old content or the new one, never half of it, and a crash leaves one of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load(path: Path) -> Saved | None:
    """None where there is nothing to read; a broken file is logged and left alone."""
    try:
        return Saved.model_validate_json(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        log.error("snapshot on disk is unreadable", path=str(path), reason=str(error))
        return None


async def save(path: Path, cache: Cache) -> None:
    """Write the facts of the moment, piece by piece: Envoys are not kept waiting while 100,000 tenants are written."""
    tenants = list(cache.tenants.values())
    cells = [cell.model_dump() for cell in cache.cells.values()]
    head = json.dumps({"saved_at": datetime.now(UTC).isoformat(), "cells": cells})
    parts = [head[:-1].encode(), b', "tenants": [']
    for start in range(0, len(tenants), _PIECE):
        piece = _TENANTS.dump_json(tenants[start : start + _PIECE])[1:-1]
        parts += (b"," if start else b"", piece)
        await asyncio.sleep(0)
    parts.append(b"]}")
    writing = asyncio.create_task(asyncio.to_thread(write_atomically, path, parts), name="write")
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await writing  # a thread cannot be stopped, and the next one must not write at the same time
        raise


async def keep(path: Path, cache: Cache, delay: float) -> None:
    """Save after every change, those within ``delay`` seconds together; saving takes 1/30 of the time at most."""
    changed = cache.listen()
    written = cache.snapshot  # what was loaded from disk need not go there again

    async def write() -> None:
        nonlocal written
        snapshot = cache.snapshot
        await _save_or_log(path, cache)
        written = snapshot

    try:
        while True:
            await changed.wait()
            await asyncio.sleep(delay)
            changed.clear()
            if cache.stale_since is None:  # never replace the file by itself
                began = time.monotonic()
                await faults.point("xds.snapshot.before")
                await write()
                await faults.point("xds.snapshot.recorded")
                await asyncio.sleep(_REST * (time.monotonic() - began))
    finally:
        cache.forget(changed)
        if cache.snapshot is not written and cache.stale_since is None:
            await write()


async def _save_or_log(path: Path, cache: Cache) -> None:
    try:
        await save(path, cache)
    except OSError as error:
        log.error("snapshot not saved", path=str(path), reason=str(error))
