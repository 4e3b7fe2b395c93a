"""``python -m voicehelper_e2e.bad_api.operator``: the operator's process over stores that are files.

It is begun again at once when it is killed, as by a kubelet, and from a process that has imported everything, so that a
hundred deaths are a matter of seconds. A test ends the parent with SIGTERM.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import aiohttp
import uvloop
from voicehelper_core import log
from voicehelper_core.kubernetes_api import client
from voicehelper_operator.cluster import serve
from voicehelper_operator.settings import ClusterOperatorSettings

from voicehelper_e2e.bad_api.stores import FileRuntime, neighbours

PATIENCE_SECONDS = 3.0
"""How long it waits for an answer, instead of half a minute."""


def _operate(settings: ClusterOperatorSettings, root: Path) -> None:
    client._TIMEOUT = aiohttp.ClientTimeout(total=PATIENCE_SECONDS, sock_connect=2)
    log.setup("operator", settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, runtime=FileRuntime(root), around=neighbours(root)))


def main() -> None:
    """Until SIGTERM, or until the operator ends by itself."""
    settings, root = ClusterOperatorSettings(), Path(os.environ["BAD_API_STORES"])
    run = Path(os.environ["BAD_API_RUN"])
    root.mkdir(parents=True, exist_ok=True)
    deaths, child = 0, 0

    def end(*_: object) -> None:
        if child:
            os.kill(child, signal.SIGCONT)
            os.kill(child, signal.SIGKILL)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    while True:
        child = os.fork()
        if not child:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            _operate(settings, root)
            os._exit(0)
        (run / "pid").write_text(str(child))
        _, status = os.waitpid(child, 0)
        child = 0
        if not os.WIFSIGNALED(status):
            raise SystemExit(f"the operator has ended by itself: {os.waitstatus_to_exitcode(status)}")
        deaths += 1
        (run / "deaths").write_text(str(deaths))


if __name__ == "__main__":
    main()
