"""The last facts on disk: what is served when Postgres is down at the start."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ValidationError
from voicehelper_core.log import get_logger

from voicehelper_router.xds.cache import Cache
from voicehelper_router.xds.facts import CellFacts, TenantFacts

log = get_logger(__name__)


class Saved(BaseModel):
    """Content of the file."""

    saved_at: datetime
    tenants: list[TenantFacts]
    cells: list[CellFacts]


def write_atomically(path: Path, text: str) -> None:
    """Readers see the old content or the new one, never half of it, and a crash leaves one of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("w") as file:
        file.write(text)
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


def save(path: Path, cache: Cache) -> None:
    """Write the facts of the moment."""
    saved = Saved(saved_at=datetime.now(UTC), tenants=list(cache.tenants.values()), cells=list(cache.cells.values()))
    write_atomically(path, json.dumps(saved.model_dump(mode="json"), separators=(",", ":")))


async def keep(path: Path, cache: Cache, delay: float) -> None:
    """Save after every change; changes within ``delay`` seconds are saved together."""
    changed = cache.listen()
    try:
        while True:
            await changed.wait()
            await asyncio.sleep(delay)
            changed.clear()
            if cache.stale_since is None:  # never replace the file by itself
                _save_or_log(path, cache)
    finally:
        cache.forget(changed)
        if changed.is_set() and cache.stale_since is None:
            _save_or_log(path, cache)


def _save_or_log(path: Path, cache: Cache) -> None:
    try:
        save(path, cache)
    except OSError as error:
        log.error("snapshot not saved", path=str(path), reason=str(error))
