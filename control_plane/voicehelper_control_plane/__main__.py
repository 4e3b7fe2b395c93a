"""``python -m voicehelper_control_plane serve | migrate | rotate-key``."""

from __future__ import annotations

import asyncio
import signal
import sys

import uvloop
from voicehelper_core import log
from voicehelper_core.errors import Unprocessable

from voicehelper_control_plane.settings import ControlPlaneSettings


async def _serve(settings: ControlPlaneSettings) -> None:
    from voicehelper_core import resources

    from voicehelper_control_plane.app import run

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with resources.opened(settings.resources, settings.postgres_dsn, settings.kubeconfig) as opened:
        await run(settings, opened.store, stop)


def main() -> None:
    """Run the command of the first argument."""
    settings = ControlPlaneSettings()
    log.setup("identity", settings)
    match sys.argv[1:]:
        case ["serve"]:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_serve(settings))
        case ["migrate"]:
            from voicehelper_control_plane.migrate import migrate

            try:
                asyncio.run(migrate(settings.postgres_dsn))
            except Unprocessable as error:
                raise SystemExit(str(error)) from error
        case ["rotate-key", *options]:
            from voicehelper_control_plane.identity import rotate_key

            rotate_key.main(options)
        case _:
            raise SystemExit("usage: python -m voicehelper_control_plane serve | migrate | rotate-key")


if __name__ == "__main__":
    main()
