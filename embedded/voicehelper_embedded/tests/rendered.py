"""What a cell's process and the router are told of a cell, as text that can be compared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
from voicehelper_embedded.throwaway import Platform

_OF_THE_PROCESS = {"http_port", "grpc_port", "alone"}


def processes(platform: Platform, cell_id: str) -> dict[str, dict[str, Any]]:
    """The cell's processes by role (``serving``, ``next``, ``leaving``), as the supervisor keeps them."""
    saved = json.loads((platform.home / "state" / "cells.json").read_text())[f"cell-{cell_id}"]
    return {item["role"]: item for item in saved}


def rendered(platform: Platform, cell_id: str) -> str:
    """The workload, the file that its process reads, and everything in Envoy that mentions the cell.

    Each process has ports of its own, so they are left out or shown by their names.
    """
    process = processes(platform, cell_id)["serving"]
    name = process["name"].replace(f"cell-{cell_id}", "serve")
    file = json.loads((platform.home / "run" / "cells" / cell_id / f"{name}.json").read_text())
    told = {key: value for key, value in file.items() if key not in _OF_THE_PROCESS}
    text = json.dumps([process["workload"], told, *_routed(platform, cell_id)], indent=1)
    for kind in "http", "grpc":
        text = text.replace(f'"port_value": {process[kind]}', f'"port_value": "{kind}"')
    return text


def _routed(platform: Platform, cell_id: str) -> list[Any]:
    transport = httpx.HTTPTransport(uds=str(platform.home / "data" / "router" / "admin.sock"))
    with httpx.Client(transport=transport, base_url="http://envoy", timeout=30) as client:
        found = [item for item in _resources(client.get("/config_dump").json()) if cell_id in json.dumps(item)]
    assert found
    return sorted(found, key=json.dumps)


def _resources(dump: Any) -> Iterator[Any]:
    """All that xDS has sent, without when, and without the version, which is a hash of the whole."""
    if isinstance(dump, dict) and "last_updated" in dump:
        yield {key: value for key, value in dump.items() if key not in ("last_updated", "version_info")}
    elif isinstance(dump, dict):
        for value in dump.values():
            yield from _resources(value)
    elif isinstance(dump, list):
        for value in dump:
            yield from _resources(value)
