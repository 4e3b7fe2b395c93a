"""A real Milvus Lite server for tests."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path


class MilvusServer:
    """In a process of its own, which tests may kill and start again."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once it listens."""
        program = Path(sys.executable).with_name("milvus-lite")
        arguments = ["server", "--data-dir", str(self._folder), "--host", "127.0.0.1", "--port", str(self.port)]
        self._process = subprocess.Popen(
            [str(program), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(1800):  # an import of faiss and pyarrow takes long on a busy machine
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError("milvus-lite did not start")

    def kill(self) -> None:
        """Without a chance to write anything."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
