"""How the requests of cells ended, by release, as the routers count them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import httpx

from voicehelper_operator.routers import addresses

BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""In seconds: of Envoy's buckets those that are told apart."""
_SECONDS = 5.0
_AT_ONCE = 100

Counters = tuple[float, ...]
"""Requests, errors, requests whose time was taken, and those of them within each of ``BOUNDS``; since some start."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters of cells, by router; the router's name has its start in it, so that no restart can hide."""

    serving: Mapping[str, Mapping[str, Counters]] = field(default_factory=dict)
    """By id of the cell: of the release that serves."""
    canary: Mapping[str, Mapping[str, Counters]] = field(default_factory=dict)
    """Of the one that is tried beside it."""
    problem: str = ""
    """Why they could not be read."""


class TrafficReader(Protocol):
    """What the reconciler of releases asks."""

    async def read(self, cells: Iterable[str]) -> Reading:
        """Of cells by their ids; a problem where not every router tells."""
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...


class NoTraffic:
    """Where no router is known."""

    async def read(self, cells: Iterable[str]) -> Reading:
        return Reading(problem="no router is known: the operator's setting 'routers_url' is empty")

    async def close(self) -> None:
        """There is nothing to close."""


class RoutersTraffic:
    """Asks every router's control plane at ``url``; its host may have an address for each of them."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._http = httpx.AsyncClient(timeout=_SECONDS, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def read(self, cells: Iterable[str]) -> Reading:
        wanted = [*cells]
        serving: dict[str, dict[str, Counters]] = {cell: {} for cell in wanted}
        canary: dict[str, dict[str, Counters]] = {cell: {} for cell in wanted}
        try:
            for base, start in itertools.product(await addresses(self._url), range(0, len(wanted), _AT_ONCE)):
                some = wanted[start : start + _AT_ONCE]
                answer = await self._http.get(f"{base}/cells/traffic", params={"cell": some})
                answer.raise_for_status()
                told = answer.json()
                router, bounds = f"{base}@{told['epoch']}", [float(bound) for bound in told["bounds"]]
                for cell in some:
                    sides = told["cells"].get(cell, {})
                    serving[cell][router] = _counters(sides.get("serving", {}), bounds)
                    canary[cell][router] = _counters(sides.get("canary", {}), bounds)
        except (httpx.HTTPError, OSError, ValueError, KeyError, TypeError) as error:
            return Reading(problem=f"a router does not tell how requests end ({type(error).__name__})")
        return Reading(serving, canary)


def _counters(side: Mapping[str, object], bounds: list[float]) -> Counters:
    raw = side.get("within")
    within = dict(zip(bounds, raw if isinstance(raw, list) else [], strict=False))
    counts = (float(str(side.get(name, 0))) for name in ("requests", "errors", "timed"))
    return (*counts, *(float(within.get(bound, 0)) for bound in BOUNDS))
