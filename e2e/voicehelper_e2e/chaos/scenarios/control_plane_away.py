"""Identity and the reconcilers are away: routed traffic must not notice, not even when Envoy or xDS start anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import yaml
from voicehelper_embedded.throwaway import tenant

from voicehelper_e2e.chaos.scenarios.prober import Tries, probing
from voicehelper_e2e.chaos.scenarios.stage import Scenario, Stage

SECONDS, FAST_SECONDS = 600.0, 60.0
_LATE = "late-comer"
_READY_SECONDS = "170s"


@asynccontextmanager
async def prepare(stage: Stage) -> AsyncIterator[None]:
    """It is running again at the end, whatever happens, and the late-comer is gone."""
    try:
        yield
    finally:
        await stage.cli("start", "control-plane", check=False)
        await stage.cli("delete", "tenant", _LATE, check=False)
        await stage.cli("wait", f"tenant/{_LATE}", "--for", "delete", "--timeout", "120s", check=False)


async def run(stage: Stage) -> None:
    """Stop it for the time, with restarts of xDS and Envoy in between and a tenant that is applied meanwhile."""
    seconds = FAST_SECONDS if stage.fast else SECONDS
    windows: list[tuple[float, float]] = []
    async with probing(stage, stage.tenants[0]) as tries:
        begun = time.monotonic()
        await stage.cli("stop", "control-plane")
        await asyncio.sleep(seconds / 4)
        stage.facts["login meanwhile"] = await _login(stage, away=True)
        for name in ("xds", "router", f"cell-{stage.ledger.tenants[stage.tenants[0]].cell_id}"):
            opened = time.monotonic()
            if (kill := await stage.fired.kill(name)) is not None:
                back = await stage.fired.returned(kill)
                stage.facts[f"{name.partition('-')[0]} back meanwhile"] = f"{back:.1f} s"
            if name != "xds":  # without xDS nothing may fail at all
                windows.append((opened - 5, time.monotonic() + 1))
        await asyncio.to_thread(_apply, stage)
        await asyncio.sleep(max(0.0, seconds - (time.monotonic() - begun)))
        ended = time.monotonic()
        await stage.cli("start", "control-plane")
    _judge(stage, tries, windows, begun, ended)
    begun = time.monotonic()
    await stage.cli("wait", f"tenant/{_LATE}", "--for", "condition=Ready", "--timeout", _READY_SECONDS)
    stage.facts["what was applied meanwhile Ready after"] = f"{time.monotonic() - begun:.0f} s"
    stage.facts["login after"] = await _login(stage, away=False)


def _judge(stage: Stage, tries: Tries, windows: list[tuple[float, float]], begun: float, ended: float) -> None:
    within = [one for one in tries.all if begun <= one.at <= ended]
    failed = [
        one
        for one in within
        if not 200 <= one.status < 300 and not any(first <= one.at <= last for first, last in windows)
    ]
    stage.facts["away"] = f"{ended - begun:.0f} s"
    stage.facts["requests"] = len(within)
    stage.facts["failed"] = len(failed)
    stage.expect(len(within) > 20, f"only {len(within)} requests were made")
    stage.expect(not failed, f"{len(failed)} requests failed while the control plane was away: {failed[:2]}")


async def _login(stage: Stage, *, away: bool) -> str:
    """Status, and the detail of a problem: a client has to be told what is wrong."""
    body = {"tenant": stage.tenants[0], "email": "nobody@example.com", "password": "a wrong one"}
    async with httpx.AsyncClient(base_url=stage.fired.platform.router, timeout=20, trust_env=False) as client:
        answer = await client.post("/api/v1/identity/login", json=body)
    problem = answer.headers.get("content-type", "").startswith("application/problem+json")
    right = 503 if away else 401
    stage.expect(problem and answer.status_code == right, f"login: {answer.status_code} {answer.text[:200]}")
    return f"{answer.status_code} {answer.json().get('detail', '') if problem else ''}".strip()


def _apply(stage: Stage) -> None:
    """Resources are kept by Postgres: they can be applied, and wait for the reconcilers."""
    stage.fired.platform.cli("apply", "-f", "-", stdin=yaml.safe_dump(tenant(_LATE, "team")))


SCENARIO = Scenario(
    "while the control plane was away no routed request failed, restarted processes served, all caught up", run, prepare
)
