"""Ports of the platform's processes: chosen once, kept in ``state/ports.json``, changed when somebody holds one."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from voicehelper_embedded.files import read_json, write_json
from voicehelper_embedded.home import Home

PREFERRED = {"router": 8080, "api": 8081}
"""What people type; the other ports are nobody's business."""
NAMES = (
    "router", "api", "identity-grpc", "operator-http", "xds-http", "analytics-grpc", "analytics-http",
    "inference-grpc", "inference-http", "postgres", "kafka", "kafka-controller", "connect", "milvus",
)  # fmt: skip
_RANGE = range(20000, 30000)  # below the ports that the kernel gives to outgoing connections


@dataclass(frozen=True, slots=True)
class Moved:
    """A port that somebody else holds."""

    name: str
    wanted: int
    holder: str
    taken: int


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def listener(port: int) -> tuple[int | None, str]:
    """Pid and description of who listens on a port, as far as this user may know."""
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            if connection.pid is None:
                break
            try:
                name = psutil.Process(connection.pid).name()
            except psutil.Error:
                name = "?"
            return connection.pid, f"{name} (pid {connection.pid})"
    return None, "another process"


def pick(taken: Iterable[int]) -> int:
    """A free port that is not among ``taken``."""
    used = set(taken)
    for _ in range(1000):
        port = random.choice(_RANGE)  # noqa: S311
        if port not in used and is_free(port):
            return port
    raise RuntimeError("no free port between 20000 and 29999")


def load(home: Home) -> dict[str, int]:
    """Ports by name; empty before the first ``up``."""
    ports: dict[str, int] = read_json(home.state / "ports.json", {})
    return ports


def assign(home: Home, running: Iterable[int]) -> tuple[dict[str, int], list[Moved]]:
    """Give every name a port that is free or held by one of our ``running`` pids; keep the old one if possible."""
    old, ours = load(home), set(running)
    ports, moved = dict(old), []
    for name in NAMES:
        wanted = old.get(name) or (PREFERRED.get(name) if home.is_default else None)
        if wanted is not None and not is_free(wanted):
            pid, holder = listener(wanted)
            if pid is None or pid not in ours:
                ports[name] = pick(ports.values())
                moved.append(Moved(name, wanted, holder, ports[name]))
                continue
        ports[name] = wanted or pick(ports.values())
    if ports != old:
        write_json(home.state / "ports.json", ports)
    return ports, moved
