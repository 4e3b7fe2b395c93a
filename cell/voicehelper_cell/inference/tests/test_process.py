"""The inference process: it starts, says when it is ready, answers over gRPC, logs no text, and stops when told."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc.aio
import httpx
import pytest
from voicehelper_core.gen.inference.v1 import inference_pb2, inference_pb2_grpc


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def process(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int, Path]]:
    http_port, grpc_port, log = _port(), _port(), tmp_path / "log"
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "VOICEHELPER_HTTP_PORT": str(http_port),
        "VOICEHELPER_GRPC_PORT": str(grpc_port),
        "VOICEHELPER_MODEL_DIR": str(tmp_path / "models"),
    }
    command = [sys.executable, "-m", "voicehelper_cell.inference", "serve"]
    with log.open("wb") as output, subprocess.Popen(command, env=environment, stderr=output) as running:
        for _ in range(600):
            try:
                if httpx.get(f"http://127.0.0.1:{http_port}/readyz", trust_env=False).status_code == 200:
                    break
            except httpx.TransportError:
                assert running.poll() is None, log.read_text()
            time.sleep(0.1)
        yield running, grpc_port, log
        running.kill()


async def test_the_process(process: tuple[subprocess.Popen[bytes], int, Path]) -> None:
    running, port, log = process
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = inference_pb2_grpc.InferenceServiceStub(channel)
        answer = await stub.Embed(inference_pb2.EmbedRequest(texts=["a private sentence", "another one"]), timeout=10)
        assert (answer.dimension, len(answer.vectors)) == (384, 2 * 384 * 4)
        for texts in ([], ["x"] * 257):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.Embed(inference_pb2.EmbedRequest(texts=texts), timeout=10)
            assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=10) == 0
    assert "private" not in log.read_text()
