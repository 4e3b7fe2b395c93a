"""The control plane as a process, with nothing that it depends on."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from voicehelper_router.tests.process import Process

pytestmark = pytest.mark.integration
KEY = {"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "k", "alg": "EdDSA", "use": "sig"}


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
