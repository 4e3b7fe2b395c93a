"""``python -m voicehelper_embedded.supervisor HOME``: runs until it is told to stop; one a home."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import sys
from pathlib import Path

from voicehelper_core import log
from voicehelper_core.settings import BaseAppSettings

from voicehelper_embedded import components
from voicehelper_embedded.context import Context
from voicehelper_embedded.home import Home
from voicehelper_embedded.supervisor import server
from voicehelper_embedded.supervisor.state import ProcessTable
from voicehelper_embedded.supervisor.supervisor import Supervisor
from voicehelper_embedded.supervisor.workloads import Workloads

logger = log.get_logger(__name__)


async def supervise(home: Home) -> None:
    """Keep everything running until SIGTERM or ``POST /stop``."""
    context, settings = Context.load(home), home.settings
    table = ProcessTable(home.folder)
    supervisor = Supervisor(table, home.logs)
    workloads = Workloads(context, supervisor)
    ending: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def end(stop_processes: bool) -> None:
        if not ending.done():
            ending.set_result(stop_processes)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end, True)
    for component in components.all_of(context):
        supervisor.add(component)
    workloads.restore()
    info = {
        "pid": os.getpid(),
        "release": context.release.id,
        "settings": settings,
        "user": home.user,
        "ports": dict(context.ports),
    }
    api = server.Api(server.create(supervisor, workloads, end, info), server.listen(home))
    await api.start()
    chores = [
        asyncio.create_task(supervisor.rotate_logs(), name="logs"),
        asyncio.create_task(supervisor.clock.run(), name="clock"),
    ]
    logger.info("supervising", home=str(home.folder))
    stop_processes = await ending
    for chore in chores:
        chore.cancel()
    if stop_processes:
        await supervisor.stop()
    else:
        await supervisor.detach()
    await api.stop()
    home.socket.unlink(missing_ok=True)


def main() -> None:
    """Take the home's lock, or end at once when another supervisor holds it."""
    home = Home(Path(sys.argv[1]), os.geteuid() == 0)
    log.setup("supervisor", BaseAppSettings())
    logging.getLogger("voicehelper_core.http").setLevel(logging.WARNING)  # it is asked several times a second
    lock = os.open(home.state / "supervisor.lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(f"another supervisor runs {home.folder}") from None
    asyncio.run(supervise(home))  # asyncio's own loop: it accepts through the socket that checks its peers


if __name__ == "__main__":
    main()
