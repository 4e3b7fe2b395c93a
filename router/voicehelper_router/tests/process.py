"""The control plane as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import httpx
from voicehelper_router.tests.harness import free_port


class Process:
    """``python -m voicehelper_router serve``, without Postgres and identity."""

    def __init__(self, folder: Path, xds_port: int = 0) -> None:
        self.folder, self.port, self.xds_port = folder, free_port(), xds_port or free_port()
        self.snapshot, self.keys = folder / "snapshot.json", folder / "jwks.json"

    async def __aenter__(self) -> Process:
        config = {
            "postgres_dsn": f"postgresql://nobody@127.0.0.1:{free_port()}/nothing",
            "xds_port": self.xds_port, "http_port": self.port, "snapshot_file": str(self.snapshot),
            "jwks_file": str(self.keys), "jwks_source_url": f"http://127.0.0.1:{free_port()}/keys",
        }  # fmt: skip
        (self.folder / "config.json").write_text(json.dumps(config))
        environment = {
            **os.environ,
            "VOICEHELPER_CONFIG": str(self.folder / "config.json"),
            "PYTHONPATH": ":".join(path for path in sys.path if path),
        }
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "voicehelper_router", "serve", env=environment, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await self.answering()
        except BaseException:
            self.process.kill()
            await self.process.wait()
            raise
        return self

    async def answering(self) -> None:
        async with asyncio.timeout(120):
            while True:
                try:
                    await self.get("/healthz")
                    return
                except httpx.TransportError:
                    assert self.process.returncode is None
                    await asyncio.sleep(0.05)

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False) as client:
            return await client.get(f"http://127.0.0.1:{self.port}{path}")

    async def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        await self.process.wait()

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            assert await asyncio.wait_for(self.process.wait(), 30) == 0
        finally:
            if self.process.returncode is None:
                self.process.kill()
                await self.process.wait()
