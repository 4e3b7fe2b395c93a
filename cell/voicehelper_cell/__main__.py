"""``python -m voicehelper_cell serve [SERVICE] | migrate``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

import uvloop
from voicehelper_core import log
from voicehelper_core.call_graph import SERVICES

from voicehelper_cell.settings import CellSettings, MigrateSettings


def main() -> None:
    """Run the command of the first argument."""
    match sys.argv[1:]:
        case ["serve"]:
            from voicehelper_cell.app import serve

            settings = CellSettings()
            log.setup("cell", settings)
            _run(serve(settings))
        case ["serve", service] if service in SERVICES:
            from voicehelper_cell.expanded import serve as serve_one

            settings = CellSettings()
            log.setup(service, settings)
            _run(serve_one(settings, service))
        case ["migrate"]:
            from voicehelper_cell.migrate import migrate

            steps = MigrateSettings()
            log.setup("cell-migrate", steps)
            asyncio.run(migrate(steps))
        case _:
            one = ", ".join(SERVICES)
            raise SystemExit(f"usage: python -m voicehelper_cell serve [SERVICE] | migrate\nSERVICE: one of {one}")


def _run(serving: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serving)


if __name__ == "__main__":
    main()
