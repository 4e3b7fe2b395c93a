"""``python -m voicehelper_analytics serve | migrate``."""

from __future__ import annotations

import asyncio
import sys

import uvloop
from voicehelper_core import log
from voicehelper_core.errors import Unprocessable

from voicehelper_analytics.settings import AnalyticsSettings


def main() -> None:
    """Run the command of the first argument."""
    settings = AnalyticsSettings()
    log.setup("analytics", settings)
    match sys.argv[1:]:
        case ["serve"]:
            from voicehelper_analytics.app import serve

            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serve(settings))
        case ["migrate"]:
            from voicehelper_analytics.schema.migrate import migrate

            try:
                asyncio.run(migrate(settings.postgres_dsn))
            except Unprocessable as error:
                raise SystemExit(str(error)) from error
        case _:
            raise SystemExit("usage: python -m voicehelper_analytics serve | migrate")


if __name__ == "__main__":
    main()
