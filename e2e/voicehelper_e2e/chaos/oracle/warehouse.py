"""Reads a copy of ClickHouse, made while its owner stands still: only one process may open the embedded one."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil

from voicehelper_e2e.chaos.platform import FiredOn

EVENTS = """
SELECT toString(event_id), toUnixTimestamp64Milli(created_at), tenant_id, conversation_id, message_id, user_id,
       toString(role), message_length, model, tokens_used, toString(cost_usd)
FROM message_events"""
MINUTES = """
SELECT tenant_id, user_id, toUnixTimestamp(minute), sum(message_count), sum(total_tokens), toString(sum(total_cost)),
       sum(user_message_count), sum(assistant_message_count)
FROM message_stats_minute GROUP BY tenant_id, user_id, minute"""
_SECONDS = 120


async def read(fired: FiredOn) -> tuple[list[list[Any]], list[list[Any]]]:
    """Rows of the events and of the view by minute. Raises RuntimeError."""
    with tempfile.TemporaryDirectory(prefix="chaos-clickhouse-") as folder:
        copied = Path(folder) / "clickhouse"
        await asyncio.to_thread(_copy, fired, copied)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "voicehelper_e2e.chaos.oracle.warehouse", str(copied),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        async with asyncio.timeout(_SECONDS):
            output, errors = await process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"the copy of ClickHouse cannot be read: {errors.decode()[-500:]}")
    events, minutes = json.loads(output.splitlines()[-1])
    return events, minutes


def _copy(fired: FiredOn, target: Path) -> None:
    """What is on disk at one moment, as after a crash: ClickHouse opens it like that."""
    owner = psutil.Process(fired.watched.pids()["analytics"])
    owner.send_signal(signal.SIGSTOP)
    try:
        shutil.copytree(fired.watched.home.data("analytics") / "clickhouse", target, symlinks=True)
    finally:
        owner.send_signal(signal.SIGCONT)


def main() -> None:
    """Print the rows of both tables as one line of JSON."""
    import clickhouse_connect

    client = clickhouse_connect.get_client(interface="chdb", path=sys.argv[1], settings={"max_threads": 1})
    rows = [[list(row) for row in client.query(sql).result_rows] for sql in (EVENTS, MINUTES)]
    client.close()
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
