"""Cells as processes of the one-machine supervisor, over its Unix socket (ADR 12)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
from voicehelper_core.errors import Unavailable

from voicehelper_operator.workloads.interface import (
    MODULE,
    CanaryState,
    StepFailed,
    WorkloadSpec,
    WorkloadState,
    workload_name,
)

_STEP_SECONDS = 330
_LOOK_SECONDS, _STARTING_SECONDS = 1.0, 0.25
"""How often processes are looked at, and while one of them is not ready."""


class ProcessRuntime:
    """Speaks to the supervisor."""

    topologies = frozenset({"compact"})
    seamless = False
    canaries = topologies

    def __init__(self, socket: Path) -> None:
        transport = httpx.AsyncHTTPTransport(uds=str(socket))
        self._http = httpx.AsyncClient(transport=transport, base_url="http://supervisor", timeout=30)

    async def close(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def _call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            answer = await self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise Unavailable(f"the supervisor does not answer: {type(error).__name__}") from None
        if answer.status_code >= 400 and answer.status_code != 404:
            raise Unavailable(f"the supervisor refused {method} {path}: {answer.text[:500]}")
        return answer

    async def ensure(self, spec: WorkloadSpec) -> WorkloadState:
        tried = spec.tried
        if tried is not None and await self.observe(spec.cell_id) is None:
            tried = None  # what serves comes first
        body = {**_body(tried), "beside": True} if tried is not None else _body(spec)
        answer = await self._call("PUT", f"/workloads/{spec.name}", json=body)
        return _state(answer.json())

    async def observe(self, cell_id: str) -> WorkloadState | None:
        answer = await self._call("GET", f"/workloads/{workload_name(cell_id)}")
        return None if answer.status_code == 404 else _state(answer.json())

    async def changes(self) -> AsyncIterator[str]:
        """A process that ended, became ready, or took another's place is news at once, not at the next resync."""
        known: dict[str, tuple[Any, ...]] | None = None
        while True:
            with contextlib.suppress(Unavailable):
                answer = await self._call("GET", "/workloads")
                found = [(raw["name"], _state(raw)) for raw in answer.json()]
                states = {name: (state.ready, state.restarts, state.http, _rests(state)) for name, state in found}
                if known is not None:
                    for name in {name for name, _ in states.items() ^ known.items()}:
                        yield name
                known = states
            starting = any(rests is False for *_, rests in (known or {}).values())
            await asyncio.sleep(_STARTING_SECONDS if starting else _LOOK_SECONDS)

    async def sleep(self, spec: WorkloadSpec) -> bool:
        return await self.remove(spec.cell_id) is None

    async def remove(self, cell_id: str) -> str | None:
        await self._call("DELETE", f"/workloads/{workload_name(cell_id)}")
        return None

    async def run_once(self, spec: WorkloadSpec, command: str) -> str:
        body = {**_body(spec), "command": command}
        answer = await self._call("POST", f"/workloads/{spec.name}/run", json=body, timeout=_STEP_SECONDS)
        done = answer.json()
        if done["status"] != 0:
            raise StepFailed(f"'{command}' ended with {done['status']}: {done['stderr'][-1500:].strip()}")
        output: str = done["stdout"]
        return output


def _body(spec: WorkloadSpec) -> dict[str, Any]:
    return {"cell_id": spec.cell_id, "release": spec.release, "module": MODULE, "config": dict(spec.config)}


def _rests(state: WorkloadState) -> bool | CanaryState:
    """Whether nothing is being changed; where a release that answers stays beside the other, how that one is."""
    if state.canary is not None and state.canary.ready:
        return state.canary
    return state.settled


def _canary(raw: dict[str, Any] | None) -> CanaryState | None:
    if raw is None:
        return None
    return CanaryState(
        release=raw["release"],
        ready=raw["ready"],
        restarts=raw["restarts"],
        message=raw["message"],
        http=raw["http"],
        grpc=raw["grpc"],
        memory=raw.get("rss_bytes") or None,
    )


def _state(raw: dict[str, Any]) -> WorkloadState:
    return WorkloadState(
        ready=raw["state"] == "ready",
        state=raw["state"],
        restarts=raw["restarts"],
        message=raw.get("message") or "",
        release=raw["release"],
        http=raw["http"],
        grpc=raw["grpc"],
        settled=raw["settled"],
        rolled=raw["settled"],
        canary=_canary(raw.get("canary")),
        memory=raw.get("rss_bytes") or None,
    )
