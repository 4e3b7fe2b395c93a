"""An API server of one's own, without a node: seconds, a temporary folder, free ports."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from voicehelper_e2e.cluster.binaries import KUBE, built
from voicehelper_e2e.cluster.commands import run
from voicehelper_e2e.cluster.control_plane import Address, ControlPlane
from voicehelper_e2e.cluster.daemons import Daemons
from voicehelper_e2e.cluster.home import Home

CRDS = Path(__file__).parents[3] / "crds" / "generated"


class ApiServer:
    """One that runs; ``kubectl`` speaks to it as the administrator."""

    def __init__(self, kube: Path, home: Home, control_plane: ControlPlane) -> None:
        self._kube, self._home, self._control_plane = kube, home, control_plane

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self._home.kubeconfig

    @property
    def pids(self) -> dict[str, int]:
        """Of ``kube-apiserver`` and ``etcd``."""
        return self._control_plane.pids

    def kubectl(self, *arguments: str) -> str:
        """Its output. Raises Failure."""
        return run(str(self._kube), "kubectl", f"--kubeconfig={self.kubeconfig}", *arguments)

    def stop(self) -> None:
        """As if the machine were gone; ``start`` brings it back with what it knew."""
        self._control_plane.stop()

    def start(self) -> None:
        """The API server, and those controllers that end things: nobody else writes what a test has written."""
        self._control_plane.start_api(self._kube)
        self._control_plane.start_controllers(self._kube, "garbage-collector-controller,namespace-controller")


@contextmanager
def api_server() -> Iterator[ApiServer]:
    """etcd, the API server and the controllers that end things, with the project's CRDs; everything goes at the end.

    Builds the programs where the cache has none, which takes minutes.
    """
    kube = built(KUBE, print, print)
    root = Path(tempfile.mkdtemp(prefix="vhapi"))
    home = Home(root)
    etcd, port = _free_ports()
    control_plane = ControlPlane(home, Daemons(home.run, home.logs), Address("127.0.0.1", port, etcd))
    with ExitStack() as ending:
        ending.callback(shutil.rmtree, root, ignore_errors=True)
        ending.callback(control_plane.stop)
        for folder in (home.run, home.logs):
            folder.mkdir(parents=True)
        control_plane.prepare()
        server = ApiServer(kube, home, control_plane)
        server.start()
        server.kubectl("apply", "--server-side", "-f", str(CRDS))
        server.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
        yield server


def _free_ports() -> tuple[int, int]:
    """The first of two in a row, and one more."""
    while True:
        with socket.socket() as one, socket.socket() as two, socket.socket() as three:
            one.bind(("127.0.0.1", 0))
            first = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", first + 1))
            except (OSError, OverflowError):
                continue
            three.bind(("127.0.0.1", 0))
            return first, three.getsockname()[1]
