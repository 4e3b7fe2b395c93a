"""What runs, for people and for programs."""

from __future__ import annotations

from typing import Any

from voicehelper_embedded import client, ports
from voicehelper_embedded.home import Home


def describe(home: Home, *, memory: bool = True) -> dict[str, Any]:
    """``{"state", "urls", "components", "isolation"}``; state is running, degraded or stopped."""
    running = client.components(home, memory=memory) if home.folder.exists() else None
    assigned = ports.load(home) if home.folder.exists() else {}
    if running is None:
        left = [{"name": n, "pid": i.pid, "state": "unsupervised", "port": None, "rss_bytes": 0} for n, i in
                (client.survivors(home) if home.folder.exists() else [])]  # fmt: skip
        return {
            "state": "degraded" if left else "stopped",
            "urls": {},
            "components": left,
            "isolation": isolation(home),
        }
    ready = all(item["state"] == "ready" for item in running["components"])
    urls = {name: f"http://127.0.0.1:{assigned[name]}" for name in ("router", "api")}
    return {
        "state": "running" if ready else "degraded",
        "urls": {**urls, "api_docs": f"{urls['router']}/api/v1/identity/openapi.json"},
        "components": running["components"],
        "supervisor": {"pid": running["pid"], "release": running["release"]},
        "isolation": isolation(home),
    }


def isolation(home: Home) -> str:
    """How well processes are kept apart."""
    if home.root:
        return "each cell runs as an operating-system user of its own"
    return "weaker: without root all processes run as you, so one cell's process could read another's files"


def text(described: dict[str, Any]) -> str:
    """A table and the URLs."""
    from voicehelper_cli.output import table

    if described["state"] == "stopped":
        return "The platform is stopped: start it with `voicehelper up`."
    rows = [
        (
            item["name"],
            item["state"],
            item["pid"] or "-",
            item["port"] or "-",
            f"{item['rss_bytes'] / 2**20:.0f} MiB",
            item.get("restarts", 0),
            item.get("message", ""),
        )
        for item in described["components"]
    ]
    total = sum(item["rss_bytes"] for item in described["components"]) / 2**20
    lines = [
        f"The platform is {described['state']}.",
        "",
        table(("COMPONENT", "STATE", "PID", "PORT", "MEMORY", "RESTARTS", "MESSAGE"), rows),
        "",
        f"memory: {total:.0f} MiB in all",
        f"isolation of processes: {described['isolation']}",
        *(f"{name}: {url}" for name, url in described["urls"].items()),
    ]
    return "\n".join(lines)
