"""Where a platform is and how to reach it: the home folder of the embedded one.

``$VOICEHELPER_HOME``, or ``/var/lib/voicehelper`` as root, or ``~/.local/share/voicehelper``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from voicehelper_cli.failures import Failure, NotAvailable, NotRunning

if TYPE_CHECKING:
    from voicehelper_core.ports import SecretStore

HOME_VARIABLE = "VOICEHELPER_HOME"


class ContextName(StrEnum):
    """The substrates that a platform can run on."""

    embedded = "embedded"
    kube = "kube"


def home_folder(environment: Mapping[str, str] = os.environ, *, root: bool | None = None) -> Path:
    """The home of the embedded platform; it need not exist."""
    if configured := environment.get(HOME_VARIABLE):
        return Path(configured).expanduser().absolute()
    if os.geteuid() == 0 if root is None else root:
        return Path("/var/lib/voicehelper")
    return Path.home() / ".local" / "share" / "voicehelper"


@dataclass(frozen=True, slots=True)
class Home:
    """Reads what a running embedded platform tells about itself."""

    folder: Path

    @classmethod
    def of(cls, name: ContextName) -> Home:
        """The home of a context. Raises NotAvailable for one that this version cannot speak to."""
        if name is ContextName.kube:
            raise NotAvailable("the context 'kube' is not available in this version: use `--context embedded`")
        return cls(home_folder())

    def ports(self) -> dict[str, int]:
        """Ports by name. Raises NotRunning."""
        try:
            ports: dict[str, int] = json.loads((self.folder / "state" / "ports.json").read_text())
        except PermissionError:
            raise self.denied() from None
        except (FileNotFoundError, NotADirectoryError, ValueError):
            raise NotRunning from None
        return ports

    def router_url(self) -> str:
        """URL of the router. Raises NotRunning."""
        port = self.ports().get("router")
        if port is None:
            raise NotRunning
        return f"http://127.0.0.1:{port}"

    def secrets(self) -> SecretStore:
        """The store of secrets."""
        from voicehelper_core.embedded_secrets import FileSecretStore

        return FileSecretStore(self.folder / "secrets")

    async def secret(self, name: str) -> dict[str, str] | None:
        """A bundle of secrets. Raises Failure where this user may not read it."""
        try:
            return await self.secrets().get(name)
        except PermissionError:
            raise self.denied() from None

    async def control_plane_dsn(self) -> str:
        """DSN of the resource store. Raises NotRunning."""
        platform = await self.secret("platform")
        if not platform or "control_plane_dsn" not in platform:
            raise NotRunning
        return platform["control_plane_dsn"]

    def denied(self) -> Failure:
        """This user may not read the platform's files."""
        return Failure(
            f"permission denied below {self.folder}: run this as the user that ran `voicehelper up`{self._owner()}"
        )

    def _owner(self) -> str:
        try:
            return f" ({self.folder.owner()})"
        except (OSError, KeyError):
            return ""
