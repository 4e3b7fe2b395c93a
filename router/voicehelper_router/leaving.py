"""What Envoy does before it is stopped: clients are told to come anew, and requests that are under way end.

Envoy ends at once when it is told to (SIGTERM), and cuts off whoever it serves.
"""

from __future__ import annotations

import time
from pathlib import Path

import httpx

DRAIN_PATH = "/drain_listeners?graceful&skip_exit"
"""Of Envoy's administration: every answer closes its connection from now on; new ones are accepted until the end."""
LEAST_SECONDS, MOST_SECONDS = 5.0, 25.0
_ACTIVE = "http.router.downstream_rq_active"
_LOOK_SECONDS = 0.25


def leave(admin_socket: Path, least: float = LEAST_SECONDS, most: float = MOST_SECONDS) -> int:
    """Returns how many requests are left once none is under way, or after ``most`` seconds.

    It takes ``least`` seconds in any case, in which whoever sends clients here learns that this router leaves. Raises
    httpx.HTTPError where Envoy does not answer.
    """
    began = time.monotonic()
    transport = httpx.HTTPTransport(uds=str(admin_socket))
    with httpx.Client(transport=transport, base_url="http://envoy", timeout=5, trust_env=False) as client:
        client.post(DRAIN_PATH).raise_for_status()
        while True:
            passed, active = time.monotonic() - began, _active(client)
            if passed >= most or (passed >= least and not active):
                return active
            time.sleep(_LOOK_SECONDS)


def _active(client: httpx.Client) -> int:
    answer = client.get("/stats", params={"filter": f"^{_ACTIVE}$"}).raise_for_status()
    return int(answer.text.rpartition(":")[2] or 0)
