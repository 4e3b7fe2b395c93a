"""Where the routers' control planes are."""

from __future__ import annotations

import asyncio
import socket
from urllib.parse import urlsplit


async def addresses(url: str) -> list[str]:
    """A URL for each address of the host's name. Raises OSError."""
    parts = urlsplit(url)
    port = parts.port or 80
    found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    hosts = sorted({item[4][0] for item in found})
    return [f"{parts.scheme}://{f'[{host}]' if ':' in str(host) else host}:{port}" for host in hosts]
