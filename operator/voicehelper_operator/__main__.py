"""``python -m voicehelper_operator serve|metrics-adapter``: the operator on Kubernetes, or the adapter of metrics."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

from voicehelper_core import log

from voicehelper_operator.settings import ClusterOperatorSettings


def main() -> None:
    """Run the command of the first argument."""
    match sys.argv[1:]:
        case ["serve"]:
            from voicehelper_operator import cluster

            settings = ClusterOperatorSettings()
            log.setup("operator", settings)
            _run(cluster.serve(settings))
        case ["metrics-adapter"]:
            from voicehelper_operator.metrics_adapter import app
            from voicehelper_operator.metrics_adapter.settings import MetricsAdapterSettings

            adapter = MetricsAdapterSettings()
            log.setup("metrics-adapter", adapter)
            _run(app.serve(adapter))
        case _:
            raise SystemExit("usage: python -m voicehelper_operator serve|metrics-adapter")


def _run(process: Coroutine[Any, Any, None]) -> None:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(process)


if __name__ == "__main__":
    main()
