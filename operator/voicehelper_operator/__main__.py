"""``python -m voicehelper_operator serve``: the operator on Kubernetes."""

from __future__ import annotations

import asyncio
import sys

from voicehelper_core import log

from voicehelper_operator.settings import ClusterOperatorSettings


def main() -> None:
    """Run the command of the first argument."""
    match sys.argv[1:]:
        case ["serve"]:
            import uvloop

            from voicehelper_operator.cluster import serve

            settings = ClusterOperatorSettings()
            log.setup("operator", settings)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serve(settings))
        case _:
            raise SystemExit("usage: python -m voicehelper_operator serve")


if __name__ == "__main__":
    main()
