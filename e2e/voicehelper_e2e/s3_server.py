"""An S3 server with accounts (versitygw) for tests: real requests over a socket, data in a folder of its own."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from voicehelper_cli.failures import Failure

from voicehelper_e2e.cluster.binaries import VERSITYGW, built

_SECONDS = 30


@dataclass(frozen=True, slots=True)
class S3Server:
    """Where it listens, and its administrator."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str


def command(folder: Path, address: str, say: Callable[[str], None]) -> list[str]:
    """What runs a server at ``address`` with its data below ``folder``, built where it is not there yet."""
    for name in ("data", "metadata", "accounts"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return [
        str(built(VERSITYGW, say, lambda _: None)), "--port", address, "--iam-dir", str(folder / "accounts"),
        "--health", "/health", "--quiet", "--iam-cache-disable",
        "posix", "--sidecar", str(folder / "metadata"), str(folder / "data"),  # not every folder has attributes
    ]  # fmt: skip


def administrator(access_key: str, secret_key: str) -> dict[str, str]:
    """The variables that tell the server who administers it."""
    return {"ROOT_ACCESS_KEY": access_key, "ROOT_SECRET_KEY": secret_key}


def answers(endpoint: str) -> bool:
    """Whether it is healthy."""
    try:
        return httpx.get(f"{endpoint}/health", trust_env=False).is_success
    except httpx.TransportError:
        return False


@contextmanager
def s3_server(folder: Path, say: Callable[[str], None] = print) -> Iterator[S3Server]:
    """A server with its data below ``folder``, built where it is not there yet. Raises Failure with its last words."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = S3Server(f"http://127.0.0.1:{port}", "us-east-1", "administrator", secrets.token_urlsafe(24))
    environment = {**os.environ, **administrator(server.access_key, server.secret_key)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command(folder, f"127.0.0.1:{port}", say), env=environment, stdout=log, stderr=log)
    try:
        _await(server, process, folder / "log")
        yield server
    finally:
        process.terminate()
        process.wait(_SECONDS)


def _await(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _SECONDS
    while process.poll() is None and time.monotonic() < end:
        if answers(server.endpoint):
            return
        time.sleep(0.05)
    raise Failure(f"the S3 server does not start:\n{log.read_text()[-2000:]}")
