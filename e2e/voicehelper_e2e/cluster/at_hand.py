"""The cluster that end-to-end tests use: whichever ``make cluster`` chose, through kubectl."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from voicehelper_cli.failures import Failure
from voicehelper_embedded.progress import Progress

from voicehelper_e2e.cluster import images, project_image
from voicehelper_e2e.cluster.bare import BareNode
from voicehelper_e2e.cluster.choose import Way, chosen
from voicehelper_e2e.cluster.commands import run
from voicehelper_e2e.cluster.home import Home
from voicehelper_e2e.cluster.kind import Kind

IMAGE = "VOICEHELPER_E2E_IMAGE"
"""Names the project's image in a cluster that is given."""


class AtHand:
    """Raises Failure where none runs; nothing is started."""

    def __init__(self) -> None:
        self.way, _ = chosen()
        progress = Progress()
        self._built: images.Image | None = None
        if self.way is Way.GIVEN:
            self.image = os.environ.get(IMAGE, "")
            if not self.image:
                raise Failure(f"{IMAGE} has to name the project's image in that cluster: see docs/cluster.md")
            self.command: Sequence[str] = ["kubectl"]
            self.kubeconfig = Path(os.environ["KUBECONFIG"])
            return
        home = Home.default()
        self.kubeconfig = home.kubeconfig
        cluster = Kind(home, progress) if self.way is Way.KIND else BareNode(home, progress)
        cluster.expect_running()
        image = project_image.built(progress.say)
        cluster.load(image)
        self._load, self._built = cluster.load, image
        self.image, self.command = image.name, cluster.kubectl_command()

    def tagged(self, tag: str) -> str:
        """The project's image under another tag: what an upgrade changes. Raises Failure."""
        if self._built is None:
            raise Failure("images of a cluster that is given are not ours to name")
        image = replace(self._built, name=f"{self.image.rpartition(':')[0]}:{tag}")
        self._load(image)
        return image.name

    def changed(self, tag: str, file: str, change: Callable[[str], str]) -> str:
        """The project's image with another text in one of its files, such as ``cell/voicehelper_cell/app.py``; its tag
        begins with this one. Raises Failure.
        """
        if self._built is None:
            raise Failure("images of a cluster that is given are not ours to change")
        image = project_image.changed(self._built, tag, file, change)
        self._load(image)
        return image.name

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """Output of kubectl. Raises Failure."""
        return run(*self.command, *arguments, given=given)

    def apply(self, *manifests: dict[str, Any]) -> None:
        """Create or change them. Raises Failure."""
        self.kubectl("apply", "--server-side", "-f", "-", given="\n---\n".join(map(json.dumps, manifests)))

    def listed(self, *what: str) -> list[dict[str, Any]]:
        """Manifests of ``kubectl get``. Raises Failure."""
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", "-o", "json", *what))["items"]
        return found
