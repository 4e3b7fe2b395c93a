"""``python -m voicehelper_e2e.cluster up|down|image|status``: the Kubernetes of ``make cluster``.

``programs`` builds what the tests run, so that no test waits for a compiler.
"""

from __future__ import annotations

import argparse
import sys

from voicehelper_cli.failures import Failure
from voicehelper_embedded.progress import Progress

from voicehelper_e2e.charts import tools
from voicehelper_e2e.cluster import project_image
from voicehelper_e2e.cluster.bare import BareNode
from voicehelper_e2e.cluster.binaries import KUBE, KUBECONFORM, VERSITYGW, built
from voicehelper_e2e.cluster.choose import Way, chosen
from voicehelper_e2e.cluster.home import Home
from voicehelper_e2e.cluster.kind import Kind


def main() -> int:
    """Status 0, or 1 with what to do."""
    parser = argparse.ArgumentParser(prog="python -m voicehelper_e2e.cluster", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "image", "status", "programs"))
    command = parser.parse_args().command
    try:
        _run(command, Progress())
    except Failure as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _run(command: str, progress: Progress) -> None:
    """Raises Failure."""
    if command == "programs":
        for binary in (KUBE, VERSITYGW, KUBECONFORM):
            built(binary, progress.say, progress.now)
        tools.helm(progress.say)
        return
    way, why = chosen()
    progress.say(why)
    home = Home.default()
    if way is Way.GIVEN:
        if command == "image":
            raise Failure("how that cluster gets images is not known: see docs/cluster.md for what the image is")
        return
    cluster = Kind(home, progress) if way is Way.KIND else BareNode(home, progress)
    match command:
        case "up":
            cluster.up()
            progress.say(f"ready after {progress.elapsed:.0f} s: export KUBECONFIG={home.kubeconfig}")
        case "down":
            cluster.down()
            progress.say("nothing of it is left")
        case "image":
            cluster.expect_running()
            image = project_image.built(progress.say)
            cluster.load(image)
            progress.say(f"{image.name} is loaded after {progress.elapsed:.1f} s")
        case _:
            for line in cluster.status():
                progress.say(line)


if __name__ == "__main__":
    sys.exit(main())
