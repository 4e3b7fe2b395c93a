"""The process itself, with Postgres but without Kafka and identity: it answers, says what it waits for, and stops."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import httpx
import pytest
from joserfc import jwk, jwt
from voicehelper_core.auth import AUDIENCE, ISSUER, REGISTRY
from voicehelper_core.gen.analytics.v1 import usage_pb2, usage_pb2_grpc
from voicehelper_core.grpc_service import channel

pytestmark = pytest.mark.integration
KEY = jwk.OKPKey.generate_key("Ed25519", {"kid": "k1", "alg": "EdDSA", "use": "sig"})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def token(**changes: object) -> str:
    now = int(time.time())
    claims = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "u1", "tenant": "acme", "tid": "tabcdefghijk",
        "roles": ["tenant-admin"], "scopes": [], "iat": now, "exp": now + 60, "jti": "j",
    }  # fmt: skip
    return jwt.encode({"alg": "EdDSA", "kid": "k1"}, {**claims, **changes}, KEY, registry=REGISTRY)


class Process:
    def __init__(self, folder: Path, dsn: str) -> None:
        self.http, self.grpc = free_port(), free_port()
        (folder / "jwks.json").write_text(json.dumps({"keys": [KEY.as_dict(private=False)]}))
        config = {
            "postgres_dsn": dsn,
            "kafka_bootstrap": f"127.0.0.1:{free_port()}",
            "clickhouse_path": str(folder / "clickhouse"),
            "http_port": self.http,
            "grpc_port": self.grpc,
            "jwks_url": f"http://127.0.0.1:{free_port()}/jwks.json",
            "jwks_cache_file": str(folder / "jwks.json"),
        }
        (folder / "config.json").write_text(json.dumps(config))
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "VOICEHELPER_CONFIG": str(folder / "config.json"),
        }
        command = [sys.executable, "-m", "voicehelper_analytics", "serve"]
        self.log = (folder / "log").open("w")
        self.running = subprocess.Popen(command, env=environment, stderr=self.log, cwd=folder)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.http}{path}", trust_env=False)

    def wait(self) -> None:
        end = time.monotonic() + 60
        while self.running.poll() is None and time.monotonic() < end:
            try:
                if self.get("/healthz").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        raise AssertionError(Path(self.log.name).read_text())

    def stop(self) -> int:
        self.running.send_signal(signal.SIGTERM)
        try:
            return self.running.wait(5)
        finally:
            self.running.kill()
            self.running.wait()
            self.log.close()


@pytest.fixture
async def process(tmp_path: Path, dsn: str) -> AsyncIterator[Process]:
    started = Process(tmp_path, dsn)
    try:
        started.wait()
        yield started
    finally:
        if started.running.poll() is None:
            started.stop()


async def ask(process: Process, caller: str, bearer: str) -> usage_pb2.Usage:
    async with channel(f"127.0.0.1:{process.grpc}") as connected:
        metadata = (("authorization", f"Bearer {bearer}"), ("x-caller", caller))
        stub = usage_pb2_grpc.UsageServiceStub(connected)
        return await stub.GetUsage(usage_pb2.GetUsageRequest(), metadata=metadata, timeout=10)


async def test_it_answers_says_what_it_waits_for_and_stops(process: Process) -> None:
    ready = process.get("/readyz")
    assert ready.status_code == 503
    assert "sink_lost_offsets" in process.get("/metrics").text

    usage = await ask(process, "web", token())
    assert usage.tenant_id == "tabcdefghijk"
    assert usage.totals.message_count == 0
    for caller, bearer, code in (
        ("conversation", token(), grpc.StatusCode.PERMISSION_DENIED),
        ("", token(), grpc.StatusCode.PERMISSION_DENIED),
        ("web", token(tid=None), grpc.StatusCode.PERMISSION_DENIED),
        ("web", token(exp=1), grpc.StatusCode.UNAUTHENTICATED),
        ("web", "forged", grpc.StatusCode.UNAUTHENTICATED),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(process, caller, bearer)
        assert caught.value.code() == code

    assert process.stop() == 0
