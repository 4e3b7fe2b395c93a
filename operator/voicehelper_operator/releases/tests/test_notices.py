"""Notices go out over a real socket, and whoever does not take them holds nothing up."""

from __future__ import annotations

import asyncio
import json

import pytest
from prometheus_client import REGISTRY
from voicehelper_crds import CellRelease, ObjectMeta
from voicehelper_crds.models import CellReleaseSpec, CellReleaseStatus
from voicehelper_crds.releases import ReleasedCell, WaveStatus

from voicehelper_operator.releases import notices
from voicehelper_operator.releases.events import Happening
from voicehelper_operator.releases.metrics import ReleaseMetrics
from voicehelper_operator.releases.notices import Notices
from voicehelper_operator.releases.tests.fleet import START

RELEASE = CellRelease(
    metadata=ObjectMeta(name="spring"), spec=CellReleaseSpec(release="r2"), status=CellReleaseStatus(phase="Held")
)


class Listener:
    """Answers each request with the next status."""

    def __init__(self, *statuses: int) -> None:
        self._statuses, self.bodies = [*statuses], []

    async def __aenter__(self) -> Listener:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        self.bodies.append(json.loads(await reader.readexactly(length)))
        status = self._statuses.pop(0)
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(notices, "_PAUSE_SECONDS", 0.01)


async def test_a_hold_is_told_until_somebody_takes_it():
    async with Listener(500, 204) as listener:
        sending = Notices(listener.url)
        sending.tell(RELEASE, Happening("Held", "Gate: approve it"))
        sending.tell(RELEASE, Happening("WaveBegan", "nobody is woken for that"))
        await sending.close()
    assert listener.bodies == [
        {"release": "spring", "bundle": "r2", "phase": "Held", "reason": "Held", "message": "Gate: approve it",
         "warning": False}
    ] * 2  # fmt: skip


async def test_who_is_not_there_is_given_up():
    sending = Notices("http://127.0.0.1:9/")
    sending.tell(RELEASE, Happening("RolledBack", "back", warning=True))
    await sending.close()


async def test_without_a_url_nothing_is_sent():
    sending = Notices("")
    sending.tell(RELEASE, Happening("Held", "x"))
    await sending.close()


def _shown() -> dict[str, float]:
    return {
        sample.labels["phase"]: sample.value
        for metric in REGISTRY.collect()
        if metric.name == "release_cells"
        for sample in metric.samples
        if sample.labels["release"] == "spring"
    }


def test_gauges_follow_the_status_and_go_with_it():
    entries = [ReleasedCell(cell=f"c{n}", cell_id=f"c{n:011d}", previous="r1", since=START) for n in range(3)]
    status = CellReleaseStatus(waves=[WaveStatus(name="all", since=START, cells=entries)])
    kept = ReleaseMetrics()
    kept.show(RELEASE.model_copy(update={"status": status}))
    assert _shown() == {"Pending": 3}
    entries[0].phase = "Updated"
    kept.show(RELEASE.model_copy(update={"status": status}))
    assert _shown() == {"Pending": 2, "Updated": 1}
    status.finished_at = START
    kept.show(RELEASE.model_copy(update={"status": status}))
    assert _shown() == {}
