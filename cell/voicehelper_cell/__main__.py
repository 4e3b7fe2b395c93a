"""``python -m voicehelper_cell serve | migrate``."""

from __future__ import annotations

import asyncio
import sys

import uvloop
from voicehelper_core import log

from voicehelper_cell.settings import CellSettings, MigrateSettings


def main() -> None:
    """Run the command of the first argument."""
    match sys.argv[1:]:
        case ["serve"]:
            from voicehelper_cell.app import serve

            settings = CellSettings()
            log.setup("cell", settings)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serve(settings))
        case ["migrate"]:
            from voicehelper_cell.migrate import migrate

            steps = MigrateSettings()
            log.setup("cell-migrate", steps)
            asyncio.run(migrate(steps))
        case _:
            raise SystemExit("usage: python -m voicehelper_cell serve | migrate")


if __name__ == "__main__":
    main()
