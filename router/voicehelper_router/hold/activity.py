"""How much each cell is used, from Envoy's own counters.

The counter of a cell is that of its routes, which probes do not have. What is in flight is what is missing from the
cell's circuit breaker of normal priority; probes have a high one. Envoy keeps figures that were never touched, too:
leaving them out, and asking for text instead of JSON, is three times cheaper (docs/adr/0018).
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
from voicehelper_core.errors import Unavailable

from voicehelper_router.xds.clusters import MAX_PENDING, MAX_REQUESTS

_LINE = re.compile(
    r"vhost\.all\.route\.(?P<route>[a-z0-9]+)\.upstream_rq_total: (?P<total>\d+)"
    r"|cluster\.(?P<cluster>[a-z0-9]+)-(?:canary-)?(?:http|grpc|streams)\.circuit_breakers\.default\."
    r"remaining_(?P<kind>rq|pending): (?P<left>\d+)"
)
_ASKED = re.compile(r"http\.admin\.downstream_rq_total: (\d+)")
_FILTER = (
    r"^(vhost\.all\.route\.{cell}\.upstream_rq_total|http\.admin\.downstream_rq_total|"
    r"cluster\.{cell}-(canary-)?(http|grpc|streams)\.circuit_breakers\.default\.remaining_(rq|pending))$"
)
_MOST = {"rq": MAX_REQUESTS, "pending": MAX_PENDING}
_DRIFT = 2.0
"""Seconds by which the time of a start may differ from one look to the next: Envoy says its age in whole ones."""


@dataclass
class Use:
    """How much a cell is used."""

    requests: int = 0
    """Since Envoy's start."""
    active: int = 0
    """Requests and streams in flight."""


def read(text: str) -> dict[str, Use]:
    """Of ``/stats``; cells that were never used are not there."""
    uses: dict[str, Use] = defaultdict(Use)
    for match in _LINE.finditer(text):
        if match["route"]:
            uses[match["route"]].requests = int(match["total"])
        else:
            uses[match["cluster"]].active += max(0, _MOST[match["kind"]] - int(match["left"]))
    return dict(uses)


class Activity:
    """Reads the figures when they are asked for; all cells' at most once in ``seconds``."""

    def __init__(
        self, client: httpx.AsyncClient | None, seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._client, self._seconds, self._clock = client, seconds, clock
        self._uses: dict[str, Use] = {}
        self._raw: dict[str, int] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._began = secrets.token_hex(4)
        self._started, self._asked, self._starts = 0.0, 0, 0

    @property
    def epoch(self) -> str:
        """Another one when Envoy was started again, and its counters with it; also when this process was."""
        return f"{self._began}-{self._starts}"

    async def uses(self) -> dict[str, Use]:
        """Of all cells that were used. Raises Unavailable."""
        async with self._reading:
            if self._clock() - self._read_at >= self._seconds:
                text, about = await self._stats("[a-z0-9]+"), await self._get("/server_info")
                if self._restarted(text, about):
                    self._starts += 1
                    self._uses, self._raw = {}, {}
                self._uses = self._never_less(read(text))
                self._read_at = self._clock()
            return self._uses

    async def of(self, cell_id: str) -> int:
        """Requests and streams of a cell that are in flight now. Raises Unavailable."""
        use = read(await self._stats(cell_id)).get(cell_id)
        return use.active if use else 0

    def _restarted(self, text: str, about: str) -> bool:
        """By Envoy's age, and for very short lives by its count of these very questions, which must have grown."""
        started = self._clock() - float(json.loads(about)["uptime_current_epoch"].removesuffix("s"))
        found = _ASKED.search(text)
        asked = int(found[1]) if found else 0
        restarted = abs(started - self._started) > _DRIFT or asked <= self._asked
        self._asked = asked
        if restarted:
            self._started = started
        return restarted

    def _never_less(self, uses: dict[str, Use]) -> dict[str, Use]:
        """Envoy drops a counter with the last route that has it, and begins again with the next one."""
        for cell_id in self._uses.keys() | uses.keys():
            use, raw = uses.setdefault(cell_id, Use()), self._raw.get(cell_id, 0)
            before = self._uses.get(cell_id, Use()).requests
            self._raw[cell_id] = use.requests
            use.requests = before + (use.requests - raw if use.requests >= raw else use.requests)
        return uses

    async def stats(self, pattern: str, more: str = "") -> str:
        """Envoy's figures whose names match, of those that were ever touched. Raises Unavailable."""
        return await self._get(f"/stats?usedonly&filter={quote(pattern)}{more}")

    async def _stats(self, cell: str) -> str:
        return await self.stats(_FILTER.replace("{cell}", cell))

    async def _get(self, path: str) -> str:
        if self._client is None:
            raise Unavailable("the router was not told where Envoy's statistics are: set admin_socket or admin_port")
        try:
            response = await self._client.get(path)
            response.raise_for_status()
        except httpx.HTTPError as error:
            raise Unavailable(f"Envoy's statistics cannot be read ({type(error).__name__})") from error
        return response.text


def client(socket: Path | None, host: str, port: int) -> httpx.AsyncClient | None:
    """A client of Envoy's statistics; None where nobody said where they are."""
    if not socket and not port:
        return None
    transport = httpx.AsyncHTTPTransport(uds=str(socket)) if socket else None
    return httpx.AsyncClient(transport=transport, base_url=f"http://{host}:{port or 80}", timeout=5, trust_env=False)
