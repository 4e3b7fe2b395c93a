"""Secrets of one machine: a JSON file each, mode 0600, in a folder of mode 0700."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path

from voicehelper_core import private_files

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


class FileSecretStore:
    """``ports.SecretStore`` in files. A reader sees the old bundle or the new one, never half of one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def get(self, name: str) -> dict[str, str] | None:
        return await asyncio.to_thread(self._read, self._path(name))

    async def put(self, name: str, data: Mapping[str, str]) -> None:
        await asyncio.to_thread(self._write, self._path(name), dict(data))

    async def delete(self, name: str) -> None:
        await asyncio.to_thread(self._path(name).unlink, missing_ok=True)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name) or ".." in name:
            raise ValueError(f"not the name of a secret: {name!r}")
        return self._folder / f"{name}.json"

    @staticmethod
    def _read(path: Path) -> dict[str, str] | None:
        try:
            data: dict[str, str] = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        return data

    def _write(self, path: Path, data: dict[str, str]) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        private_files.replace(path, json.dumps(data))
