"""``python -m voicehelper_router serve``: the control plane. ``bootstrap`` prints Envoy's configuration."""

from __future__ import annotations

import asyncio
import json
import sys

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
        case ["bootstrap", document]:
            from voicehelper_router.bootstrap import render
            from voicehelper_router.settings import BootstrapSettings

            print(json.dumps(render(BootstrapSettings.model_validate_json(document)), indent=2))
        case _:
            raise SystemExit("usage: python -m voicehelper_router serve | bootstrap '{\"listen_port\": ...}'")


if __name__ == "__main__":
    main()
