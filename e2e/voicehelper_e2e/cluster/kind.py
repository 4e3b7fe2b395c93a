"""A cluster in Docker, by kind. Images are loaded from archives; no registry is asked."""

from __future__ import annotations

import tempfile

from voicehelper_cli.failures import Failure
from voicehelper_embedded.progress import Progress

from voicehelper_e2e.cluster import images
from voicehelper_e2e.cluster.commands import run
from voicehelper_e2e.cluster.home import POD_CIDR, SERVICE_CIDR, Home

NAME = "voicehelper"
_CONFIG = f"""\
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
networking: {{podSubnet: "{POD_CIDR}", serviceSubnet: "{SERVICE_CIDR}"}}
nodes: [{{role: control-plane}}]
"""


class Kind:
    """One node in Docker."""

    def __init__(self, home: Home, progress: Progress) -> None:
        self._home, self._progress = home, progress

    def up(self) -> None:
        """Until the node is ready. Raises Failure."""
        if self._runs():
            return
        self._home.root.mkdir(parents=True, exist_ok=True)
        config = self._home.root / "kind.yaml"
        config.write_text(_CONFIG)
        with self._progress.stage("a node in Docker"):
            run(
                "kind", "create", "cluster", f"--name={NAME}", f"--config={config}",
                f"--kubeconfig={self._home.kubeconfig}", "--wait=120s",
            )  # fmt: skip

    def down(self) -> None:
        """Remove it. Raises Failure."""
        run("kind", "delete", "cluster", f"--name={NAME}", f"--kubeconfig={self._home.kubeconfig}")

    def status(self) -> list[str]:
        """One line."""
        return [f"kind's cluster '{NAME}' {'runs' if self._runs() else 'does not run: make cluster starts it'}"]

    def expect_running(self) -> None:
        """Raises Failure where it does not run."""
        if not self._runs():
            raise Failure("no node runs: make cluster starts one")

    def kubectl_command(self) -> list[str]:
        """kubectl as the administrator."""
        return ["kubectl", f"--kubeconfig={self._home.kubeconfig}"]

    def _runs(self) -> bool:
        return NAME in run("kind", "get", "clusters").split()

    def load(self, image: images.Image) -> None:
        """Give the node an image. Raises Failure."""
        with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
            images.write(archive.file, image)
            archive.flush()
            run("kind", "load", "image-archive", f"--name={NAME}", archive.name)
