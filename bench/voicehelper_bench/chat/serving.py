"""A server of the benchmark in a process of its own, so that it takes no time from whoever asks."""

from __future__ import annotations

import multiprocessing
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def serving(run: Callable[[socket.socket], None]) -> Iterator[tuple[str, int]]:
    """URL and process id of ``run``, a function of a module, which serves the listening socket until it is ended."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    port = listening.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=run, args=(listening,), daemon=True)
    process.start()
    listening.close()
    try:
        assert process.pid is not None
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.join(10)
