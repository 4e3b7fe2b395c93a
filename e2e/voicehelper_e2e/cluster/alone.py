"""An API server of one's own, without a node: seconds, a temporary folder, free ports."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from voicehelper_core import errors
from voicehelper_core.kubernetes_api import Api
from voicehelper_core.kubernetes_api.kinds import OURS

from voicehelper_e2e.cluster.binaries import KUBE, built
from voicehelper_e2e.cluster.commands import run
from voicehelper_e2e.cluster.control_plane import Address, ControlPlane
from voicehelper_e2e.cluster.daemons import Daemons
from voicehelper_e2e.cluster.home import Home

ENDING = "garbage-collector-controller,namespace-controller"
"""Controllers that end things: nobody else writes what a test has written."""
CRDS = Path(__file__).parents[3] / "crds" / "generated"


class ApiServer:
    """One that runs; ``kubectl`` speaks to it as the administrator."""

    def __init__(self, kube: Path, home: Home, control_plane: ControlPlane, controllers: str) -> None:
        self._kube, self._home, self._control_plane, self._controllers = kube, home, control_plane, controllers

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self._home.kubeconfig

    @property
    def kube(self) -> Path:
        """The program that is every component of Kubernetes, by its first argument."""
        return self._kube

    @property
    def pki(self) -> Path:
        """Keys, certificates and kubeconfigs of the components; ``ca`` signs all of them."""
        return self._home.pki

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
        """The API server and the controllers."""
        self._control_plane.start_api(self._kube)
        self._control_plane.start_controllers(self._kube, self._controllers)


@contextmanager
def api_server(controllers: str = ENDING) -> Iterator[ApiServer]:
    """etcd, the API server and controllers (``*``: all), with the project's CRDs; everything goes at the end.

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
        server = ApiServer(kube, home, control_plane, controllers)
        server.start()
        server.kubectl("apply", "--server-side", "-f", str(CRDS))
        server.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
        yield server


async def remove_resources(api: Api) -> None:
    """All of ours, whoever waits to clean up."""
    for kind in OURS.values():
        for item in (await api.list(kind))[0]:
            name = item["metadata"]["name"]
            with contextlib.suppress(errors.NotFound):
                await api.merge(kind, name, {"metadata": {"finalizers": None}}, manager="test")
                await api.delete(kind, name)


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
