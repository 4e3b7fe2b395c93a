"""Where contents must never be: logs, metrics, change data capture, temporary files; usage of others in ClickHouse."""

from __future__ import annotations

import asyncio
import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from voicehelper_cli.isolation.attack import Recorder, attack
from voicehelper_cli.isolation.model import NEIGHBOUR, NOBODY, Canary
from voicehelper_cli.isolation.stores.kafka import access

if TYPE_CHECKING:
    from voicehelper_cli.isolation.arena import Arena

_LARGEST = 32 * 2**20


def contents(arena: Arena, data: object) -> list[Canary]:
    """Canaries that are contents; ids may be in logs and events."""
    return [
        canary
        for canary in arena.canaries.seen(data)
        if not canary.surface.endswith(" id") or "external" in canary.surface
    ]


def _judge(arena: Arena, tried: Recorder, what: str, data: object, *, finding: str, size: int) -> None:
    found = sorted({canary.surface for canary in contents(arena, data)})
    if found:
        reason = f"contents of the victim are there: {', '.join(found)}"
        tried.leaked(what, f"{size} bytes", by=NOBODY, finding=finding, reason=reason)
    else:
        tried.held(what, f"{size} bytes without contents", by=NOBODY, finding=finding)


@attack("residue.files", surface="logs", needs=())
async def files(arena: Arena, tried: Recorder) -> None:
    """Contents in logs and temporary files of every component."""
    if arena.places.home is None or not arena.root:
        reason = "only root may read all logs"
        tried.not_run("read all logs", by=NOBODY, finding="residue.logs", reason=reason)
        return
    home = arena.places.home
    logs = sorted(home.joinpath("logs").glob("*.log*"))
    if not logs:
        raise AssertionError("there are no logs")
    temporary = [
        path
        for top in (*home.glob("data/*/tmp"), home / "run")
        for path in top.rglob("*")
        if path.is_file() and path.suffix != ".so"
    ]
    for kind, paths in (("logs", logs), ("temporary", temporary)):
        for path in paths:
            try:
                data = await asyncio.to_thread(_tail, path)
            except OSError:
                continue
            _judge(arena, tried, f"look into {path.name}", data, finding=f"residue.{kind}", size=len(data))


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LARGEST))
        return file.read()


@attack("residue.cdc", surface="kafka", needs=(), seconds=120)
async def cdc(arena: Arena, tried: Recorder) -> None:
    """Contents in the topics of change data capture, in Connect's offsets and in its configuration."""
    platform = await arena.home.secret("platform") or {}
    settings = access(arena, "admin", platform["kafka_admin_password"], **{"sasl.mechanisms": "PLAIN"})
    found = await asyncio.to_thread(_read_all, settings)
    rows = sum(len(messages) for topic, messages in found.items() if topic.startswith("cdc."))
    if not any(arena.canaries.seen(messages) for topic, messages in found.items() if topic.startswith("cdc.")):
        raise AssertionError("the victim's rows are not in the topics of change data capture: nothing was tested")
    for topic, messages in sorted(found.items()):
        what = f"read {topic} as the platform's admin"
        _judge(arena, tried, what, messages, finding="residue.cdc", size=sum(len(m) for m in messages))
        words = [word.encode() for name, word in platform.items() if name.endswith("password")]
        shown = sum(word in message for word in words for message in messages)
        reason = "a password of the platform is in the topic"
        tried.expect(not shown, f"{what}: passwords", rows, by=NOBODY, finding="residue.connect", reason=reason)
    stray = [name for name in found if name == "cdc.message"]
    reason = "logical messages of a cell's session became a topic"
    tried.expect(
        not stray, "a topic of logical messages", sorted(found), by=NOBODY, finding="sql.messages", reason=reason
    )


def _read_all(settings: dict[str, Any]) -> dict[str, list[bytes]]:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({**settings, "group.id": "isolation", "enable.auto.commit": False, "fetch.wait.max.ms": 50})
    found: dict[str, list[bytes]] = {}
    try:
        topics = consumer.list_topics(timeout=10).topics
        for name, topic in topics.items():
            if not name.startswith(("cdc.", "_connect_", "__debezium")):
                continue
            kept = found.setdefault(name, [])
            for number in topic.partitions:
                part = TopicPartition(name, number)
                low, high = consumer.get_watermark_offsets(part, timeout=10)
                part.offset = max(low, high - 3000)
                consumer.assign([part])
                while part.offset < high and (message := consumer.poll(2)) is not None:
                    part.offset = message.offset() + 1
                    kept.append(
                        b" ".join((message.key() or b"", message.value() or b"", str(message.headers()).encode()))
                    )
        return found
    finally:
        consumer.close()


_USAGE = "/api/v1/usage"


@attack("clickhouse.usage", surface="clickhouse")
async def usage(arena: Arena, tried: Recorder) -> None:
    """Usage of the victim through the neighbour's usage: parameters, cursors, injection, a remembered answer."""
    victim = arena.victim.tenant_id
    mine = await arena.victim.call("GET", _USAGE, params={"limit": 1})
    if int(mine["totals"].get("message_count", 0)) < 1:
        raise AssertionError("the victim has no usage")
    headers = await arena.neighbour.headers()
    own = (await arena.neighbour.call("GET", _USAGE))["totals"]
    wide = "from=2026-10-01T00:00:00Z"
    injected = quote(f"' OR tenant_id = '{victim}")
    for query in (
        "",
        wide,
        f"tenant_id={victim}",
        f"tenant={arena.victim.name}",
        f"{wide}&tenant_id={victim}&tenant_id={victim}",
        f"user_id={arena.facts['user_id']}",
        f"from={injected}",
        f"to={injected}",
        f"limit={injected}",
        f"cursor={injected}",
        f"cursor={mine.get('next_cursor') or 'WyIyMDI2LTAxLTAxVDAwOjAwOjAwWiIsInh4Il0='}",
        f"{wide}&limit=1000&cursor=WyIyMDk5LTAxLTAxVDAwOjAwOjAwKzAwOjAwIiwiXHVmZmZmIl0=",
        "limit=1000) UNION ALL SELECT * FROM message_events --",
        "param_tenant=" + victim,
    ):
        await arena.victim.call("GET", f"{_USAGE}?{wide}")  # what a cache would hold
        path = f"{_USAGE}?{query}"
        answer = await arena.neighbour.http.get(path, headers=headers)
        totals = answer.json().get("totals", own) if answer.status_code == 200 else own
        fine = answer.status_code in (200, 400, 422) and totals == own
        reason = f"answered {answer.status_code} with other totals than the neighbour's own"
        tried.expect(
            fine, f"GET {path}", answer.text, by=NEIGHBOUR, finding="clickhouse.usage", reason=reason, sent=path
        )


@attack("clickhouse.ports", surface="clickhouse", needs=())
async def listeners(arena: Arena, tried: Recorder) -> None:
    """Does the process that holds ClickHouse listen anywhere but at the usage API and its health?"""
    if not arena.root:
        reason = "only root sees which process listens where"
        tried.not_run("list listeners", by=NOBODY, finding="clickhouse.ports", reason=reason)
        return
    import psutil

    ports = arena.home.ports()
    known = {ports["analytics-http"], ports["analytics-grpc"]}
    found = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    every = [(c.pid, str(c.laddr[0]), int(c.laddr[1])) for c in found if c.laddr]
    pid = next(owner for owner, _, port in every if port == ports["analytics-http"])
    more = sorted({port for owner, _, port in every if owner == pid} - known)
    what, reason = "listeners of the process that holds ClickHouse", "a port without users reaches ClickHouse"
    tried.expect(
        not more, what, more or "only the usage API and health", by=NOBODY, finding="clickhouse.ports", reason=reason
    )
    outside = sorted({port for _, ip, port in every if not _loopback(ip) and port in ports.values()})
    what, reason = "listeners of the platform beyond loopback", "a port of the platform is open to the network"
    tried.expect(not outside, what, outside, by=NOBODY, finding="ports.loopback", reason=reason)


def _loopback(address: str) -> bool:
    found = ipaddress.ip_address(address)
    mapped = getattr(found, "ipv4_mapped", None)  # how servers of two families are bound to 127.0.0.1
    return bool((mapped or found).is_loopback)


@attack("redis", surface="redis", needs=())
async def redis(_: Arena, tried: Recorder) -> None:
    """Redis is not part of this version's stack."""
    reason = "this version has no Redis: nothing was attacked"
    tried.not_run("keys and channels of another cell", by=NOBODY, finding="redis", reason=reason)
