"""``python -m voicehelper_embedded.processes.control_plane``: identity and the reconcilers in one loop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import uvloop
from voicehelper_control_plane import app as control_plane
from voicehelper_control_plane.settings import ControlPlaneSettings
from voicehelper_core import embedded_store, log
from voicehelper_core.embedded_secrets import FileSecretStore
from voicehelper_core.http import create_app, serve_http
from voicehelper_core.settings import CONFIG_VARIABLE
from voicehelper_operator import app as operator
from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.workloads.processes import ProcessRuntime

from voicehelper_embedded.context import HOST

logger = log.get_logger(__name__)


async def run(config: dict[str, Any], identity: ControlPlaneSettings, reconcilers: OperatorSettings) -> None:
    """Until SIGTERM or SIGINT; ends when any part does, so that the supervisor starts both anew."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    pool = await embedded_store.connect(identity.postgres_dsn)
    store = embedded_store.PostgresResourceStore(pool)
    web = create_app("operator", version=reconcilers.service_version)
    reconciling = operator.run(
        reconcilers,
        store,
        secrets=FileSecretStore(Path(config["secrets_folder"])),
        events=embedded_store.PostgresEventRecorder(pool),
        lease=embedded_store.PostgresLease(pool),
        runtime=ProcessRuntime(reconcilers.supervisor_socket),
        stop=stop,
        web=web,
    )
    http = serve_http(web, HOST, config["operator_port"])
    halves = [
        asyncio.create_task(http.serve(), name="operator-http"),
        asyncio.create_task(control_plane.run(identity, store, stop), name="identity"),
        asyncio.create_task(reconciling, name="operator"),
    ]
    done, _ = await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
    asked = stop.is_set()
    stop.set()
    http.should_exit = True
    await asyncio.wait(halves, timeout=5)
    await pool.close()
    for half in done:
        if error := half.exception():
            logger.error("ended by itself", half=half.get_name(), exc_info=error)
    if not asked:
        raise SystemExit("the control plane ended by itself")


def main() -> None:
    """Read the two halves' settings from one file."""
    config = json.loads(Path(os.environ.pop(CONFIG_VARIABLE)).read_text())
    identity, reconcilers = ControlPlaneSettings(**config["identity"]), OperatorSettings(**config["operator"])
    log.setup("control-plane", identity)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(config, identity, reconcilers))


if __name__ == "__main__":
    main()
