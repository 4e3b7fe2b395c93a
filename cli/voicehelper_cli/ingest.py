"""Uploads documents and waits until they are indexed."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from voicehelper_cli.client import ApiError, RouterClient
from voicehelper_cli.documents import Upload

DOCUMENTS = "/api/v1/knowledge/documents"
_UPLOADS_AT_ONCE = 8
_LOOKS_AT_ONCE = 8
_POLL_SECONDS = 0.25
_SETTLED = ("indexed", "failed")

Progress = Callable[[int, int], None]
"""Called with the numbers of uploaded and of settled documents."""


@dataclass(slots=True)
class Report:
    """How it ended. ``failed`` holds the reason by file."""

    total: int
    indexed: int = 0
    chunks: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(slots=True)
class _Run:
    client: RouterClient
    report: Report
    progress: Progress
    uploaded: int = 0
    pending: deque[tuple[str, Upload]] = field(default_factory=deque)
    last_progress: float = field(default_factory=time.monotonic)

    def moved(self) -> None:
        self.last_progress = time.monotonic()
        self.progress(self.uploaded, self.report.indexed + len(self.report.failed))


async def ingest(
    client: RouterClient,
    uploads: Sequence[Upload],
    *,
    idle_timeout: float,
    wait: bool = True,
    progress: Progress = lambda *_: None,
) -> Report:
    """Upload all and wait; gives up when nothing has moved for ``idle_timeout`` seconds."""
    run = _Run(client, Report(len(uploads)), progress)
    started = time.monotonic()
    queue = deque(uploads)
    sending = asyncio.gather(*(_send_all(run, queue) for _ in range(min(_UPLOADS_AT_ONCE, len(queue)))))
    try:
        if wait:
            await _settle(run, sending, idle_timeout)
        await sending
    finally:
        sending.cancel()
    run.report.seconds = time.monotonic() - started
    return run.report


async def _send_all(run: _Run, queue: deque[Upload]) -> None:
    while queue:
        upload = queue.popleft()
        try:
            content = await asyncio.to_thread(upload.file.read_bytes)
            document = await run.client.request(
                "POST",
                DOCUMENTS,
                files={"file": (upload.file.name, content, upload.media_type)},
                data={"external_id": upload.external_id},
            )
            run.pending.append((str(document["id"]), upload))
        except ApiError as error:
            if error.status in (401, 403):
                raise
            run.report.failed[str(upload.file)] = error.message
        except OSError as error:
            run.report.failed[str(upload.file)] = (error.strerror or str(error)).lower()
        run.uploaded += 1
        run.moved()


async def _settle(run: _Run, sending: asyncio.Future[Any], idle_timeout: float) -> None:
    while run.pending or not sending.done():
        if sending.done():
            sending.result()
        # Indexing goes roughly in the order of the uploads, so the oldest ones are asked for first.
        batch = [run.pending.popleft() for _ in range(min(_LOOKS_AT_ONCE, len(run.pending)))]
        settled = await asyncio.gather(*(_look(run, document, upload) for document, upload in batch))
        waiting = [item for item, done in zip(batch, settled, strict=True) if not done]
        run.pending.extendleft(reversed(waiting))
        if any(settled):
            run.moved()
        elif sending.done() and time.monotonic() - run.last_progress > idle_timeout:
            for _, upload in run.pending:
                run.report.failed[str(upload.file)] = f"not indexed: nothing moved for {idle_timeout:g} s"
            run.pending.clear()
            return
        if waiting or not batch:
            await asyncio.sleep(_POLL_SECONDS)


async def _look(run: _Run, document: str, upload: Upload) -> bool:
    try:
        found = await run.client.request("GET", f"{DOCUMENTS}/{document}")
    except ApiError as error:
        run.report.failed[str(upload.file)] = error.message
        return True
    if found["status"] not in _SETTLED:
        return False
    if found["status"] == "indexed":
        run.report.indexed += 1
        run.report.chunks += int(found.get("chunk_count") or 0)
    else:
        run.report.failed[str(upload.file)] = found.get("error") or "indexing failed"
    return True
