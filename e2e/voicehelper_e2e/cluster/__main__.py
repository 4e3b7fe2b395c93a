"""``python -m voicehelper_e2e.cluster up|down|image|status``: the Kubernetes of ``make cluster``."""

from __future__ import annotations

import argparse
import sys

from voicehelper_cli.failures import Failure
from voicehelper_embedded.progress import Progress

from voicehelper_e2e.cluster import project_image
from voicehelper_e2e.cluster.bare import BareNode
from voicehelper_e2e.cluster.choose import Way, chosen
from voicehelper_e2e.cluster.home import Home
from voicehelper_e2e.cluster.kind import Kind


def main() -> int:
    """Status 0, or 1 with what to do."""
    parser = argparse.ArgumentParser(prog="python -m voicehelper_e2e.cluster", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "image", "status"))
    command = parser.parse_args().command
    progress = Progress()
    try:
        way, why = chosen()
        progress.say(why)
        if way is Way.GIVEN:
            return 0
        home = Home.default()
        cluster = Kind(home, progress) if way is Way.KIND else BareNode(home, progress)
        if command == "up":
            cluster.up()
            progress.say(f"ready after {progress.elapsed:.0f} s: export KUBECONFIG={home.kubeconfig}")
        elif command == "down":
            cluster.down()
        elif command == "image":
            image = project_image.built(progress.say)
            cluster.load(image)
            progress.say(f"{image.name} is loaded after {progress.elapsed:.1f} s")
        elif isinstance(cluster, BareNode):
            for name in cluster.daemons.names():
                progress.say(f"{name}: {'runs' if cluster.daemons.alive(name) else 'has ended'}")
    except Failure as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
