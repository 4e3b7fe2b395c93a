"""Tells people outside of holds, failures and ends of releases, by a webhook of theirs."""

from __future__ import annotations

import asyncio
import contextlib

import httpx
from voicehelper_core.log import get_logger
from voicehelper_crds import CellRelease

from voicehelper_operator.releases.events import Happening

log = get_logger(__name__)
TOLD = frozenset(
    {"Held", "CellFailed", "CellGoesBack", "Failed", "RollbackAsked", "Stopped", "Emergency", "Complete", "RolledBack"}
)
"""Reasons of events that are worth somebody's attention."""
_SECONDS = 5.0
_TRIES, _PAUSE_SECONDS = 3, 1.0


class Notices:
    """Posts ``{release, bundle, phase, reason, message, warning}`` as JSON; without a URL nobody is told.

    Nobody waits for it, and nothing depends on it: what is not delivered after some tries is logged, and what an
    operator that dies has not sent is not sent by the next one. The status and the events have it all.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = httpx.AsyncClient(timeout=_SECONDS, trust_env=False) if url else None
        self._sending: set[asyncio.Task[None]] = set()

    def tell(self, release: CellRelease, item: Happening) -> None:
        """Send it soon."""
        if self._http is None or item.reason not in TOLD:
            return
        body = {
            "release": release.metadata.name,
            "bundle": release.spec.release,
            "phase": release.status.phase,
            "reason": item.reason,
            "message": item.message,
            "warning": item.warning,
        }
        task = asyncio.create_task(self._send(self._http, body))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, http: httpx.AsyncClient, body: dict[str, object]) -> None:
        why = ""
        for attempt in range(_TRIES):
            await asyncio.sleep(attempt * _PAUSE_SECONDS)
            try:
                answer = await http.post(self._url, json=body)
            except httpx.HTTPError as error:
                why = type(error).__name__
                continue
            if answer.is_success:
                return
            why = f"status {answer.status_code}"
        log.warning("nobody took the notice of a release", reason=body["reason"], release=body["release"], why=why)

    async def close(self) -> None:
        """Give what is on its way a moment, then close the connection."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SECONDS):
                await asyncio.gather(*self._sending, return_exceptions=True)
        if self._http is not None:
            await self._http.aclose()
