"""No request body is read beyond its limit: what identity is sent is small."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from voicehelper_core.errors import TooLarge
from voicehelper_core.http import problem_response

MAX_BODY = 256 * 2**10
STREAMED = "/tenants/import"
"""Reads its body as it comes, and only for the platform's admins."""


class BodyLimit:
    """Pure ASGI: reads the body whole, up to the limit, and hands it on. The rest of a larger one is thrown away."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].endswith(STREAMED):
            await self.app(scope, receive, send)
            return
        size, kept, more = 0, bytearray(), True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return  # the client is gone
            chunk: bytes = message.get("body", b"")
            more, size = message.get("more_body", False), size + len(chunk)
            if size > _PATIENCE:
                break
            if size <= MAX_BODY:
                kept += chunk
        if size > MAX_BODY:
            refusal = problem_response(TooLarge(f"a request body may have {MAX_BODY} bytes here"), scope["path"])
            await refusal(scope, receive, send)
            return
        whole: Message | None = {"type": "http.request", "body": bytes(kept), "more_body": False}

        async def replayed() -> Message:
            nonlocal whole
            if whole is not None:
                message, whole = whole, None
                return message
            return await receive()

        await self.app(scope, replayed, send)


# So much is drained before the answer, since a client that still sends meets a closed connection instead of it.
_PATIENCE = 200 * 2**20
