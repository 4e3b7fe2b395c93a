"""``python -m voicehelper_cell.inference serve``."""

from __future__ import annotations

import asyncio
import os
import sys

import uvloop
from voicehelper_core import log

from voicehelper_cell.inference.settings import InferenceSettings


def main() -> None:
    """Run the command of the first argument."""
    settings = InferenceSettings()
    log.setup("inference", settings)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    match sys.argv[1:]:
        case ["serve"]:
            from voicehelper_cell.inference.app import serve

            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serve(settings))
        case _:
            raise SystemExit("usage: python -m voicehelper_cell.inference serve")


if __name__ == "__main__":
    main()
