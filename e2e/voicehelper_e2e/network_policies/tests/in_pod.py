"""Runs in a pod: ``serve``, or ``probe`` what it is given, or ``knock`` from its first moment on."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time

DNS_QUERY = (
    bytes.fromhex("abcd01000001000000000000") + b"\x0akubernetes\x07default\x03svc\x07cluster\x05local\0\0\1\0\1"
)


async def serve(*ports: str) -> None:
    """Tells everybody the pod's name."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(socket.gethostname().encode() + b"\n")
        writer.close()

    for port in ports:
        await asyncio.start_server(answer, "0.0.0.0", int(port), backlog=4096)
    await asyncio.Event().wait()


async def probe() -> None:
    """Of ``[kind, address, port, seconds]`` on standard input: who answered, or null, in the same order."""
    wanted = json.load(sys.stdin)
    limit = asyncio.Semaphore(250)

    async def one(kind: str, address: str, port: int, seconds: float) -> str | None:
        async with limit:
            try:
                async with asyncio.timeout(seconds):
                    return await {"tcp": _tcp, "greeted": _greeted, "dns": _dns}[kind](address, port)
            except OSError:
                return None

    print(json.dumps(await asyncio.gather(*(one(*item) for item in wanted))))


async def knock(address: str, port: str, seconds: str) -> None:
    """Every 20 ms: seconds since the first line of output, and who answered."""
    began = time.monotonic()
    print("knocking", flush=True)

    async def one() -> tuple[float, str]:
        at = time.monotonic() - began
        try:
            async with asyncio.timeout(0.9):  # before the system tries again by itself
                return at, await _greeted(address, int(port))
        except OSError:
            return at, ""

    tasks = []
    while time.monotonic() - began < float(seconds):
        tasks.append(asyncio.create_task(one()))
        await asyncio.sleep(0.02)
    print(json.dumps(await asyncio.gather(*tasks)), flush=True)


async def _tcp(address: str, port: int) -> str:
    _, writer = await asyncio.open_connection(address, port)
    writer.close()
    return "connected"


async def _greeted(address: str, port: int) -> str:
    reader, writer = await asyncio.open_connection(address, port)
    line = await reader.readline()
    writer.close()
    return line.decode().strip()


async def _dns(address: str, port: int) -> str:
    """Over UDP."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.setblocking(False)
        await loop.sock_connect(sending, (address, port))
        await loop.sock_sendall(sending, DNS_QUERY)
        answer = await loop.sock_recv(sending, 512)
        assert answer[:2] == DNS_QUERY[:2]
    return "answered"


asyncio.run({"serve": serve, "probe": probe, "knock": knock}[sys.argv[1]](*sys.argv[2:]))
