"""No request body is read beyond its limit, whatever its kind; the rest is drained so that the answer arrives."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from voicehelper_core.errors import TooLarge
from voicehelper_core.http import problem_response

MAX_BODY = 512 * 2**10
"""For everything but uploads: a message of 32,000 characters, escaped, fits twice."""
_DRAIN_SECONDS = 20.0


class BodyLimit:
    """Pure ASGI. ``larger`` maps a path to a limit of its own."""

    def __init__(self, app: ASGIApp, larger: dict[str, int]) -> None:
        self.app, self._larger = app, larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self._larger.get(scope["path"], MAX_BODY)
        body = _Body(receive, limit)
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        if lengths and lengths[0].isdigit() and int(lengths[0]) > limit:
            await self._refuse(scope, body, send)
            return

        async def sending(message: Message) -> None:
            if body.exceeded:
                return  # whatever the application makes of a cut body
            if message["type"] == "http.response.start" and message["status"] >= 400:
                await body.drain()  # a client that still sends would meet a closed connection, not the answer
            await send(message)

        try:
            await self.app(scope, body.receive, sending)
        except TooLarge:
            if not body.exceeded:
                raise
        if body.exceeded:
            await self._refuse(scope, body, send)

    async def _refuse(self, scope: Scope, body: _Body, send: Send) -> None:
        await body.drain()
        response = problem_response(TooLarge(f"a request body may have {body.limit} bytes here"), scope["path"])
        await response(scope, body.receive, send)


class _Body:
    """A request's body, counted."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self.limit = receive, limit
        self._read, self._more = 0, True
        self.exceeded = False

    async def receive(self) -> Message:
        """The next message. Raises TooLarge."""
        message = await self._next()
        if self._read > self.limit:
            self.exceeded = True
            raise TooLarge(f"a request body may have {self.limit} bytes here")
        return message

    async def _next(self) -> Message:
        message = await self._receive()
        self._more = message["type"] == "http.request" and message.get("more_body", False)
        self._read += len(message.get("body", b""))
        return message

    async def drain(self) -> None:
        """Read what still comes and forget it, for a while."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                while self._more:
                    await self._next()
