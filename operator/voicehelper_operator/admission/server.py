"""Listens for the API server: kopf's own server ends and starts anew when a certificate changes, this one goes on."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import kopf
from aiohttp import web
from voicehelper_core.log import get_logger

from voicehelper_operator.admission.configuration import PATH

log = get_logger(__name__)
_MAX_BYTES = 8 * 2**20
"""Of a question: the object as it was and as it would be, each at most what etcd keeps, with room for escapes."""
_KEEPALIVE_SECONDS = 120.0
"""The API server gives up its idle connections after 90: so none is closed while a question is on its way."""
_END_SECONDS = 3.0


class AdmissionServer:
    """What kopf calls a webhook server; ``listening`` is set while it is one."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        self._host, self._port, self._context = host, port, context
        self.listening = asyncio.Event()

    async def __call__(self, review: kopf.WebhookFn) -> AsyncIterator[kopf.WebhookClientConfig]:
        async def answer(request: web.Request) -> web.Response:
            return await _answer(review, request)

        app = web.Application(client_max_size=_MAX_BYTES)
        app.router.add_post(PATH, answer)
        runner = web.AppRunner(
            app, handle_signals=False, access_log=None, keepalive_timeout=_KEEPALIVE_SECONDS,
            shutdown_timeout=_END_SECONDS,
        )  # fmt: skip
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port, ssl_context=self._context).start()
            self.listening.set()
            log.info("answering the API server", port=self._port)
            yield kopf.WebhookClientConfig(url=PATH)  # for kopf's own configuration, which is switched off
            await asyncio.Event().wait()
        finally:
            self.listening.clear()
            await runner.cleanup()


async def _answer(review: kopf.WebhookFn, request: web.Request) -> web.Response:
    try:
        question: Any = json.loads(await request.text())
        return web.json_response(await review(question))
    except Exception as error:  # the API server refuses what it gets no judgement of
        log.error("a question of the API server has no answer", error_type=type(error).__name__, error=str(error)[:300])
        status = 400 if isinstance(error, ValueError) else 500
        return web.json_response({"detail": f"{type(error).__name__}: {error}"}, status=status)
