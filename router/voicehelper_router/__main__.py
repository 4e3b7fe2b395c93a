"""``python -m voicehelper_router serve``: the control plane. ``bootstrap`` renders what ``envoy`` runs with.

These two write a file and find the binary themselves: an image without a shell has nobody else to do it. ``leave`` is
what comes before Envoy is stopped.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from voicehelper_core import log

from voicehelper_router.settings import RouterSettings


def main() -> None:
    """Run the command of the first argument."""
    match sys.argv[1:]:
        case ["serve"]:
            import uvloop

            from voicehelper_router.app import serve

            settings = RouterSettings()
            log.setup("xds", settings)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serve(settings))
        case ["bootstrap", document, *target] if len(target) < 2:
            from voicehelper_router.bootstrap import render
            from voicehelper_router.settings import BootstrapSettings

            text = json.dumps(render(BootstrapSettings.model_validate_json(document)), indent=2)
            if target:
                Path(target[0]).write_text(f"{text}\n")
            else:
                print(text)
        case ["envoy", file, *more] if len(more) < 2:
            from voicehelper_router import envoy

            # In the place of this process: signals of whoever started it go to Envoy.
            command = envoy.command(Path(file), base_id=0, concurrency=int(more[0]) if more else 1)
            os.execv(command[0], command)  # noqa: S606
        case ["leave", socket]:
            from voicehelper_router.leaving import leave

            if left := leave(Path(socket)):
                print(f"{left} requests are cut off")
        case _:
            raise SystemExit(
                "usage: python -m voicehelper_router serve | bootstrap '{\"listen_port\": ...}' [FILE]"
                " | envoy FILE [CONCURRENCY] | leave SOCKET"
            )


if __name__ == "__main__":
    main()
