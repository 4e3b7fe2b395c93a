"""Ports, sockets and files of the platform, as whoever may run on the same machine or network: another cell, say."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import grpc.aio
from voicehelper_core import names

from voicehelper_cli.isolation.arena import Arena
from voicehelper_cli.isolation.attack import Recorder, attack
from voicehelper_cli.isolation.attacks import wire
from voicehelper_cli.isolation.model import FOREIGN_USER, NOBODY

_XDS = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
_TYPES = (
    "type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration",
    "type.googleapis.com/envoy.config.cluster.v3.Cluster",
)
_READ = (
    "/metrics", "/readyz", "/healthz", "/config_dump?include_eds", "/config_dump", "/clusters", "/stats",
    "/stats/prometheus", "/listeners", "/server_info", "/connectors?expand=info", "/connectors", "/admin/loggers",
    "/components", "/workloads", "/debug", "/snapshot", "/docs", "/openapi.json",
)  # fmt: skip
_ORDERS = ("/quitquitquit", "/drain_listeners", "/logging?level=off", "/runtime_modify?a=b", "/reset_counters", "/stop")
_STORES = ("postgres", "kafka", "milvus")
_PYTHON = "/usr/bin/python3"
_SCRIPT = """
import json, os, socket, sys
found = {}
for path in json.load(sys.stdin):
    try:
        if path.endswith(".sock"):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(3)
            s.connect(path)
            s.sendall(b"GET /components HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
            data = s.recv(2000)
            found[path] = ["connected", data.decode("utf-8", "replace")] if data else ["refused", "closed at once"]
        elif os.path.isdir(path):
            found[path] = ["read", " ".join(sorted(os.listdir(path)))[:2000]]
        else:
            with open(path, "rb") as f:
                found[path] = ["read", f.read(200000).decode("utf-8", "replace")]
    except OSError as error:
        found[path] = ["refused", type(error).__name__]
json.dump(found, sys.stdout)
"""


@attack("platform.ports", surface="platform")
async def ports(arena: Arena, tried: Recorder) -> None:
    """Ports of the platform tell nothing of tenants and take no orders from strangers."""
    found = {**arena.places.ports, "cell": arena.victim.cell_http}
    for name, address in found.items():
        if name.startswith(_STORES):
            continue  # they speak other protocols; ``stores`` attacks them
        for path in _READ:
            data = wire.request("GET", path, [("Connection", "close")], host="127.0.0.1")
            answer = await wire.exchange(address, data, seconds=2)
            if not answer.raw and path == _READ[0]:
                break  # not HTTP/1.1
            _tells(arena, tried, f"GET {path} at the port {name}", name, answer)
    for name, address in found.items():
        if name.startswith((*_STORES, "connect")) or name.endswith("-grpc"):
            continue
        for path in _ORDERS:
            data = wire.request("POST", path, [("Content-Length", "0"), ("Connection", "close")])
            answer = await wire.exchange(address, data, seconds=2)
            tried.expect(
                answer.status == 0 or answer.status >= 400, f"POST {path} at the port {name}", answer.text, by=NOBODY,
                finding=f"platform.{name}", reason=f"it was answered with {answer.status}",
            )  # fmt: skip
    await _connector(arena, tried)


async def _connector(arena: Arena, tried: Recorder) -> None:
    """A connector that cannot work: whoever may make one reads and writes every topic."""
    body = wire.plain({"name": f"iso-{arena.world.run}", "config": {"connector.class": "org.example.None"}})
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Connection", "close")]
    data = wire.request("POST", "/connectors", headers, body)
    answer = await wire.exchange(arena.places.connect_url, data, seconds=10)
    tried.expect(
        answer.status in (0, 401, 403), "POST /connectors at Kafka Connect", answer.text, by=NOBODY,
        finding="platform.connect", reason=f"Connect takes connectors from anybody ({answer.status})",
    )  # fmt: skip


def _tells(arena: Arena, tried: Recorder, what: str, name: str, answer: wire.Answer) -> None:
    """Leaked where the answer has the victim's name, the id of its cell, a canary or a password."""
    finding = f"platform.{name}"
    words = {
        "name": arena.victim.name, "cell": arena.victim.cell_id,
        **{key: value for key, value in arena.victim.store_credentials.items() if len(value) > 8},
    }  # fmt: skip
    told = [word for word, value in words.items() if value.encode() in answer.raw]
    if b'"database.password"' in answer.raw and b'"[hidden]"' not in answer.raw:
        told.append("password of the database")
    if told and not arena.canaries.seen(answer.raw):
        tried.leaked(
            what, answer.text, by=NOBODY, finding=finding, reason=f"the answer has the victim's {', '.join(told)}"
        )
        return
    tried.judge(what, answer.text, by=NOBODY, finding=finding)


@attack("platform.xds", surface="platform")
async def xds(arena: Arena, tried: Recorder) -> None:
    """The router's control plane tells routes to the router only."""
    for name, address in arena.places.ports.items():
        if name.startswith(_STORES) or name in ("router", "connect"):
            continue
        for kind in _TYPES:
            data = await _routes(address, kind)
            what = f"subscribe to {kind.rpartition('.')[2]} at the port {name}"
            _tells(arena, tried, what, "xds", wire.Answer(200, data))


async def _routes(address: str, kind: str) -> bytes:
    """The first answer to a wildcard subscription, as bytes (DeltaDiscoveryRequest by hand: node.id, type_url)."""

    def text(number: int, value: bytes) -> bytes:
        return bytes([number << 3 | 2, len(value)]) + value

    request = text(1, text(1, b"router")) + text(2, kind.encode())
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.stream_stream(_XDS)(timeout=3)
        try:
            await call.write(request)
            answer = await call.read()
            return bytes(answer) if answer is not grpc.aio.EOF else b""
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name} {error.details()}".encode()
        finally:
            call.cancel()


@attack("platform.files", surface="platform", needs=("stranger",))
async def files(arena: Arena, tried: Recorder) -> None:
    """Files, folders and sockets of the platform and of the victim's cell, as the OS user of another cell."""
    what, user = "files and sockets as another cell's user", names.os_user(arena.stranger.cell_id)
    home = arena.places.home
    if home is None or not arena.root:
        reason = (
            "the platform's files are not on this machine" if home is None else "needs root, which may become others"
        )
        tried.not_run(what, by=FOREIGN_USER, finding="platform.files", reason=reason)
        return
    paths = await asyncio.to_thread(_paths, home, arena.victim.cell_id, arena.stranger.cell_id)
    try:
        result = await asyncio.to_thread(
            subprocess.run, [_PYTHON, "-I", "-c", _SCRIPT], input=json.dumps(paths), capture_output=True, text=True,
            timeout=30, check=True, user=user, group=user, extra_groups=[], cwd="/", env={},
        )  # fmt: skip
    except (LookupError, PermissionError) as error:
        tried.not_run(what, by=FOREIGN_USER, finding="platform.files", reason=f"cannot become {user}: {error}")
        return
    for path, (outcome, text) in json.loads(result.stdout).items():
        place = path.replace(str(home), "HOME")
        tried.expect(
            outcome == "refused", f"open {place}", f"{outcome}: {text}", by=FOREIGN_USER, finding="platform.files",
            reason="another cell's user may open it",
        )  # fmt: skip


def _paths(home: Path, theirs: str, mine: str) -> list[str]:
    """Everything that is nobody's but the platform's or the victim's; what all may read (code, models) is left out."""
    open_to_all = {"releases", "models", "cache", "env"}
    found = [home / name for name in ("state", "secrets", "logs", "run/supervisor.sock", f"run/cells/{theirs}")]
    for folder in (home / "state", home / "secrets", home / "logs", home / "run", home / "run" / "cells" / theirs):
        found += [path for path in folder.glob("*") if path.is_file() or path.is_socket()]
    for folder in (home / "data").glob("*"):
        found += [folder / name for name in ("", theirs) if folder.name == "objects" and name]
        if folder.name != "objects":
            found += [folder, *list(folder.glob("*"))[:40]]
    return sorted({
        str(path) for path in found if path.name not in open_to_all and mine not in str(path)
    })  # fmt: skip
