"""A node of one's own on Linux as root: up, down and what is in between."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

from voicehelper_cli.failures import Failure
from voicehelper_embedded import preflight
from voicehelper_embedded.progress import Progress

from voicehelper_e2e.cluster import images, network
from voicehelper_e2e.cluster.binaries import COREDNS, KUBE, PAUSE, Binary, built
from voicehelper_e2e.cluster.commands import run
from voicehelper_e2e.cluster.control_plane import Address, ControlPlane
from voicehelper_e2e.cluster.daemons import Daemons
from voicehelper_e2e.cluster.home import API_PORT, NAMESPACE, NODE, NODE_ADDRESS, Home, cache
from voicehelper_e2e.cluster.node import PAUSE_IMAGE, Node, needs
from voicehelper_e2e.network_policies.nft import Nft

_MANIFESTS = Path(__file__).parent / "manifests"
_READY_SECONDS = 120
_ENFORCER = "network-policies"
_SMALL = {PAUSE_IMAGE: PAUSE, "localhost/voicehelper/coredns:1": COREDNS}
"""Images of one program."""


class BareNode:
    """Of a home. ``up`` and ``down`` may be repeated; what is there already stays as it is."""

    def __init__(self, home: Home, progress: Progress) -> None:
        self._home, self._progress = home, progress
        self.daemons = Daemons(home.run, home.logs, NAMESPACE)
        self._node = Node(home, self.daemons)
        self._control_plane = ControlPlane(home, self.daemons, Address(NODE_ADDRESS, API_PORT))
        self._programs: dict[Binary, Path] = {}

    def up(self) -> None:
        """Until the node is ready and its DNS answers. Raises Failure; logs stay below the home then."""
        if os.geteuid() != 0:
            raise Failure("a bare node needs root: name a cluster with KUBECONFIG, or run this as root")
        stage = self._progress.stage
        preflight.provide(self._progress.say, needs)
        kube, *_ = [self._program(binary) for binary in (KUBE, PAUSE, COREDNS)]
        for folder in (self._home.root, self._home.run, self._home.logs):
            folder.mkdir(parents=True, exist_ok=True)
        network.up()
        with stage("etcd and the API server"):
            self._control_plane.prepare()
            self._control_plane.start_api(kube)
        with stage("containerd and images"):
            self._node.start_containerd()
            for name, binary in _SMALL.items():
                self.load(self._small(name, self._program(binary)))
        with stage("NetworkPolicies are enforced"):
            self._enforce()
        with stage("the node is ready"):
            self._control_plane.start_controllers(kube)
            self._control_plane.start_scheduler(kube)
            self._node.start(kube)
            self._until("Ready", f"node/{NODE}")
        with stage("DNS answers"):
            self.kubectl("apply", "--server-side", "-f", str(_MANIFESTS))
            self._until("Available", "-n=kube-system", "deployment/coredns")

    def down(self) -> None:
        """Everything, with its data; built programs stay in the cache."""
        self._node.stop()
        self._control_plane.stop()
        for name in self.daemons.names():
            self.daemons.stop(name)
        network.down()
        shutil.rmtree(self._home.root, ignore_errors=True)

    def status(self) -> list[str]:
        """A line a process."""
        lines = [f"{name}: {'runs' if self.daemons.alive(name) else 'has ended'}" for name in self.daemons.names()]
        return lines or ["no node runs: make cluster starts one"]

    def expect_running(self) -> None:
        """Raises Failure where no node runs."""
        if not self.daemons.alive("containerd"):
            raise Failure("no node runs: make cluster starts one")

    def kubectl(self, *arguments: str) -> str:
        """Output of kubectl as the administrator. Raises Failure."""
        return run(*self.kubectl_command(), *arguments)

    def kubectl_command(self) -> list[str]:
        """kubectl as the administrator."""
        return [str(self._program(KUBE)), "kubectl", f"--kubeconfig={self._home.kubeconfig}"]

    def _enforce(self) -> None:
        """By the test tool, before any pod runs. Raises Failure where it does not come up."""
        command = [sys.executable, "-m", "voicehelper_e2e.network_policies", "enforce"]
        paths = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self.daemons.start(_ENFORCER, [*command, f"--kubeconfig={self._home.kubeconfig}"], paths)
        nft, end = Nft(NAMESPACE), time.monotonic() + _READY_SECONDS
        while not nft.there():
            self.daemons.expect(_ENFORCER)
            if time.monotonic() > end:
                raise Failure(f"no rules for NetworkPolicies:\n{self.daemons.tail(_ENFORCER)}")
            time.sleep(0.1)

    def _program(self, binary: Binary) -> Path:
        """Looked for once: its sources are read for that."""
        if binary not in self._programs:
            self._programs[binary] = built(binary, self._progress.say, self._progress.now)
        return self._programs[binary]

    def load(self, image: images.Image) -> None:
        """Give the node an image, or what it lacks of one. Raises Failure."""
        self._node.load(image)

    def _small(self, name: str, program: Path) -> images.Image:
        """The image of one static program."""
        only = cache() / "images" / f"{program.name}.layer"
        if not only.exists():
            only.parent.mkdir(parents=True, exist_ok=True)
            images.layer(only, [(program, "program")])
        return images.Image(name, [only], ["/program"])

    def _until(self, condition: str, *what: str) -> None:
        """Raises Failure with the end of kubelet's log when it does not come true."""
        try:
            for wanted in ("create", f"condition={condition}"):
                self.kubectl("wait", *what, f"--for={wanted}", f"--timeout={_READY_SECONDS}s")
        except Failure as error:
            raise Failure(f"{error}\n{self.daemons.tail('kubelet')}") from None
