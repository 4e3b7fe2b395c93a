"""Cells of a platform that benchmarks make, use and look at."""

from __future__ import annotations

import json
import time

import httpx
import psutil
from voicehelper_embedded.throwaway import Platform, tenant
from voicehelper_embedded.watched import Watched

CLASS = """
apiVersion: voicehelper.io/v1alpha1
kind: CellClass
metadata: {name: bench}
spec: {cpu: "1", memory: 1Gi, postgresConnections: 5}
---
apiVersion: voicehelper.io/v1alpha1
kind: TenantPlan
metadata: {name: bench-shared}
spec: {displayName: Shared, isolation: shared, cellClass: bench, quota: {users: 50, documents: 100000}}
---
apiVersion: voicehelper.io/v1alpha1
kind: TenantPlan
metadata: {name: bench-dedicated}
spec: {displayName: Dedicated, isolation: dedicated, cellClass: bench, quota: {users: 50, documents: 100000}}
"""
_READY_SECONDS = 300
_LOOK_SECONDS = 0.3
_PROBE_SECONDS = 0.02


def cell(name: str, capacity: int = 100) -> str:
    """A shared cell as YAML."""
    spec = f"{{tenancy: shared, classRef: bench, capacity: {capacity}, deletion: {{policy: Delete}}}}"
    return f"\n---\napiVersion: voicehelper.io/v1alpha1\nkind: Cell\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def make(platform: Platform, names: list[str], capacity: int = 100) -> None:
    """Apply shared cells."""
    platform.cli("apply", "-f", "-", stdin=CLASS + "".join(cell(name, capacity) for name in names))


def until_ready(platform: Platform, names: list[str]) -> None:
    """Wait for all. Raises AssertionError."""
    for name in names:
        arguments = ("wait", f"cell/{name}", "--for", "condition=Ready", "--timeout", f"{_READY_SECONDS}s")
        platform.cli(*arguments, timeout=_READY_SECONDS + 60)


def use(platform: Platform, cell: str) -> None:
    """A tenant in the cell uploads a document, searches it, and is answered once; then it goes."""
    name = "footprint-user"
    platform.cli("apply", "-f", "-", stdin=json.dumps(tenant(name, "bench-shared", placement={"cell": cell})))
    try:
        platform.cli("wait", f"tenant/{name}", "--for", "condition=Ready", "--timeout", "120s")
        with platform.client(name) as client:
            document = {"title": "Fees", "content": "The annual fee of the bronze card is 25 dollars. " * 20}
            client.post("/api/v1/knowledge/documents", json=document).raise_for_status()
            _until_found(client)
            made = client.post("/api/v1/conversations", json={"title": "Fees"})
            made.raise_for_status()
            path = f"/api/v1/conversations/{made.json()['id']}/messages"
            client.post(path, json={"content": "What is the annual fee?"}).raise_for_status()
    finally:
        platform.cli("delete", "tenant", name, check=False)


def _until_found(client: httpx.Client) -> None:
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end:
        answer = client.post("/api/v1/knowledge/search", json={"query": "annual fee", "top_k": 3})
        if answer.status_code == 200 and answer.json()["hits"]:
            return
        time.sleep(_LOOK_SECONDS)
    raise AssertionError("the document was not indexed")


def cells(watched: Watched) -> dict[str, int]:
    """Pids of the cells that run, by name."""
    return {name: pid for name, pid in watched.pids().items() if name.startswith("cell-")}


def seconds_to_ready(watched: Watched, name: str, old: int) -> float:
    """From the birth of the process that replaces ``old`` until it says that it is ready. Raises AssertionError."""
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end:
        item = watched.components().get(name, {})
        if item.get("pid") not in (None, old):
            return _until_answers(item["pid"], item["port"], end)
        time.sleep(_LOOK_SECONDS)
    raise AssertionError(f"{name} was not started again")


def _until_answers(pid: int, port: int, end: float) -> float:
    born = psutil.Process(pid).create_time()
    with httpx.Client(trust_env=False, timeout=2) as client:
        while time.monotonic() < end:
            try:
                if client.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                    return time.time() - born
            except httpx.HTTPError:
                pass
            time.sleep(_PROBE_SECONDS)
    raise AssertionError(f"process {pid} did not become ready")
