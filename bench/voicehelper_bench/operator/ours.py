"""The operator's process as it runs in a cluster, with stubs around it; its settings come from the environment."""

from __future__ import annotations

import asyncio

import uvloop
from voicehelper_core import log
from voicehelper_e2e.operator_stubs import StubRuntime, neighbours
from voicehelper_operator.cluster import serve
from voicehelper_operator.settings import ClusterOperatorSettings


def main() -> None:
    """Until SIGTERM."""
    settings = ClusterOperatorSettings()
    log.setup("operator", settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, runtime=StubRuntime(), around=neighbours()))


if __name__ == "__main__":
    main()
