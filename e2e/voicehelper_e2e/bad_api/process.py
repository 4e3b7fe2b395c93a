"""An operator in a process of its own, that tests may kill and freeze."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voicehelper_router.tests.harness import free_port

RELEASE = "r00000000001"


class Operator:
    """Runs in ``folder``, which its stores are in, too; two may share the stores."""

    def __init__(self, kubeconfig: Path, folder: Path, stores: Path, holder: str, lease_seconds: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self.stores, self.log, self.faults = folder, stores, folder / "log", folder / "faults"
        self.faults.mkdir(exist_ok=True)
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "BAD_API_STORES": str(stores),
            "BAD_API_RUN": str(folder),
            "VOICEHELPER_ARCHIVE_ROOT": str(folder / "archives"),
            "VOICEHELPER_KUBECONFIG": str(kubeconfig),
            "VOICEHELPER_HTTP_HOST": "127.0.0.1",
            "VOICEHELPER_HTTP_PORT": str(free_port()),
            "VOICEHELPER_RELEASE": RELEASE,
            "VOICEHELPER_RESYNC_SECONDS": "2",
            "VOICEHELPER_HOLDER": holder,
            "VOICEHELPER_LEASE_SECONDS": str(lease_seconds),
            "VOICEHELPER_FAULT_FOLDER": str(self.faults),
            "VOICEHELPER_WEBHOOK": '{"enabled": false}',
            "VOICEHELPER_KUBERNETES": '{"namespace": "default"}',
        }
        with self.log.open("ab") as output:
            self._parent = subprocess.Popen(
                [sys.executable, "-m", "voicehelper_e2e.bad_api.operator"], stdout=output, stderr=output,
                stdin=subprocess.DEVNULL, env=environment,
            )  # fmt: skip

    @property
    def deaths(self) -> int:
        """How often it was killed and begun again."""
        file = self._folder / "deaths"
        return int(file.read_text()) if file.exists() else 0

    def signal(self, number: signal.Signals) -> None:
        """To the operator itself."""
        os.kill(int((self._folder / "pid").read_text()), number)

    def expect(self) -> None:
        """Raises RuntimeError where it has ended by itself."""
        if self._parent.poll() is not None:
            raise RuntimeError(f"the operator has ended:\n{self.log.read_text()[-6000:]}")

    def end(self) -> None:
        """With whatever it does just now."""
        self._parent.terminate()
        try:
            self._parent.wait(10)
        except subprocess.TimeoutExpired:
            self._parent.kill()
            self._parent.wait()


@contextmanager
def operator(
    kubeconfig: Path, folder: Path, stores: Path, *, holder: str = "one", lease_seconds: int = 6
) -> Iterator[Operator]:
    """Until the end of the block."""
    running = Operator(kubeconfig, folder, stores, holder, lease_seconds)
    try:
        yield running
    finally:
        running.end()
