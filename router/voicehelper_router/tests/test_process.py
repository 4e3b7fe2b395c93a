"""The control plane as a process, with nothing that it depends on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from voicehelper_router.tests.harness import free_port

pytestmark = pytest.mark.integration
KEY = {"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "k", "alg": "EdDSA", "use": "sig"}


class Process:
    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.snapshot, self.keys = folder / "snapshot.json", folder / "jwks.json"

    async def __aenter__(self) -> Process:
        config = {
            "postgres_dsn": f"postgresql://nobody@127.0.0.1:{free_port()}/nothing",
            "xds_port": free_port(), "http_port": self.port, "snapshot_file": str(self.snapshot),
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

    async def __aexit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            assert await asyncio.wait_for(self.process.wait(), 30) == 0
        finally:
            if self.process.returncode is None:
                self.process.kill()
                await self.process.wait()


async def test_without_anything_it_is_not_ready(tmp_path: Path) -> None:
    async with Process(tmp_path) as process:
        response = await process.get("/readyz")
        assert response.status_code == 503
        assert "Postgres" in response.json()["detail"]
        assert (await process.get("/.well-known/jwks.json")).status_code == 503


async def test_with_its_copies_on_disk_it_serves_and_says_that_they_are_old(tmp_path: Path) -> None:
    before = Process(tmp_path)
    saved = {
        "saved_at": datetime.now(UTC).isoformat(),
        "tenants": [{"name": "acme", "state": "suspended", "cell_id": None}],
        "cells": [],
    }
    before.snapshot.write_text(json.dumps(saved))
    before.keys.write_text(json.dumps({"keys": [KEY]}))
    async with Process(tmp_path) as process:
        response = await process.get("/readyz")
        assert response.status_code == 200
        assert "snapshot of" in response.text or "Postgres does not answer" in response.text
        assert "identity's keys cannot be fetched" in response.text or "not fetched yet" in response.text
        assert (await process.get("/.well-known/jwks.json")).json() == {"keys": [KEY]}
        metrics = (await process.get("/metrics")).text
        assert "router_snapshot_stale 1.0" in metrics
        assert "router_tenants 1.0" in metrics
    assert json.loads(before.snapshot.read_text()) == saved  # old facts never replace themselves
