"""One running call: two pipes for messages, the final status, and the task of the handler."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any

import grpc
import grpc.aio

_PIPE_LIMIT = 16
"""Messages that wait unread before the writer is held back, as flow control does on the wire."""


class Pipe:
    """Messages one way, serialized; one reader and one writer at a time."""

    def __init__(self) -> None:
        self._items: deque[bytes] = deque()
        self._closed = False
        self._changed = asyncio.Event()

    async def put(self, item: bytes) -> None:
        """Wait for room; what comes after ``close`` is dropped."""
        while len(self._items) >= _PIPE_LIMIT and not self._closed:
            await self._wait()
        self.put_now(item)

    def put_now(self, item: bytes) -> None:
        """Without waiting."""
        if not self._closed:
            self._items.append(item)
            self._changed.set()

    async def get(self) -> bytes | None:
        """The next message, or None at the end."""
        while not self._items and not self._closed:
            await self._wait()
        if not self._items:
            return None
        item = self._items.popleft()
        self._changed.set()
        return item

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def close(self, *, drop: bool = False) -> None:
        """No more messages; with ``drop`` not even those that wait."""
        self._closed = True
        if drop:
            self._items.clear()
        self._changed.set()


class Exchange:
    """Shared by both sides. The status is set once, by whoever comes first: handler, deadline or client."""

    def __init__(self, method: str, metadata: tuple[tuple[str, str | bytes], ...], timeout: float | None) -> None:
        self.loop = asyncio.get_running_loop()
        self.method = method
        self.metadata = metadata
        self.requests, self.responses = Pipe(), Pipe()
        self.initial_metadata: asyncio.Future[tuple[Any, ...]] = self.loop.create_future()
        self.finished: asyncio.Future[None] = self.loop.create_future()
        self.code: grpc.StatusCode | None = None
        self.details = ""
        self.trailing_metadata: tuple[Any, ...] = ()
        self.cancelled_locally = False
        self.callbacks: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._deadline = None if timeout is None else self.loop.time() + timeout
        self._timer = None if timeout is None else self.loop.call_later(max(timeout, 0), self._expire)

    def start(self, handle: Callable[[Exchange], Any]) -> None:
        """Run the handler in a task with an empty context."""
        self._task = self.loop.create_task(handle(self), context=Context())

    def done(self) -> bool:
        """Whether the status is known."""
        return self.code is not None

    def time_remaining(self) -> float | None:
        """Seconds to the deadline; None without one."""
        return None if self._deadline is None else max(self._deadline - self.loop.time(), 0.0)

    def finish(self, code: grpc.StatusCode, details: str = "", trailing: tuple[Any, ...] = ()) -> bool:
        """End the call; False when it had ended before. The handler is not interrupted."""
        if self.code is not None:
            return False
        self.code, self.details, self.trailing_metadata = code, details, trailing
        if self._timer is not None:
            self._timer.cancel()
        self.requests.close()
        self.responses.close()
        if not self.initial_metadata.done():
            self.initial_metadata.set_result(())
        self.finished.set_result(None)
        for callback in self.callbacks:
            self.loop.call_soon(callback)
        self.callbacks.clear()
        return True

    def interrupt(self, code: grpc.StatusCode, details: str) -> bool:
        """End the call from outside: waiting messages are dropped and the handler is cancelled."""
        if not self.finish(code, details):
            return False
        self.requests.close(drop=True)
        self.responses.close(drop=True)
        if self._task is not None:
            self._task.cancel()
        return True

    def cancel(self, details: str = "Locally cancelled by application!") -> bool:
        """The client gives up; False when the call had ended before."""
        if self.done():
            return False
        self.cancelled_locally = True
        return self.interrupt(grpc.StatusCode.CANCELLED, details)

    def _expire(self) -> None:
        self.interrupt(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")

    def error(self) -> grpc.aio.AioRpcError:
        """What the client raises for a status that is not OK."""
        return grpc.aio.AioRpcError(
            self.code or grpc.StatusCode.UNKNOWN,
            grpc.aio.Metadata.from_tuple(self.initial_metadata.result()),
            grpc.aio.Metadata.from_tuple(self.trailing_metadata),
            details=self.details,
            debug_error_string=f"{self.method} over a local channel: {self.details}",
        )
