"""Folders of one platform, who owns them, and who its processes run as."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from voicehelper_cli.context import home_folder

DEFAULT_ROOT_HOME = Path("/var/lib/voicehelper")


@dataclass(frozen=True, slots=True)
class Home:
    """A platform's folders. ``folder`` need not exist yet."""

    folder: Path
    root: bool = False

    @classmethod
    def current(cls) -> Home:
        """The home of this user: ``$VOICEHELPER_HOME`` or the default."""
        return cls(home_folder(), os.geteuid() == 0)

    @property
    def state(self) -> Path:
        """Ports, processes, timings: JSON files."""
        return self.folder / "state"

    @property
    def run(self) -> Path:
        """Socket and configuration files of running processes."""
        return self.folder / "run"

    @property
    def secrets(self) -> Path:
        """Generated credentials and keys, mode 0600."""
        return self.folder / "secrets"

    @property
    def logs(self) -> Path:
        """One file a component."""
        return self.folder / "logs"

    @property
    def releases(self) -> Path:
        """Copies of the code, by hash."""
        return self.folder / "releases"

    @property
    def models(self) -> Path:
        """Models built at the first start."""
        return self.folder / "models"

    @property
    def cache(self) -> Path:
        """Downloads that outlive ``clean`` are not here but in the package clients' own caches."""
        return self.folder / "cache"

    @property
    def settings(self) -> str:
        """Changes when somebody changes ``settings.json``."""
        file = self.folder / "settings.json"
        return hashlib.sha256(file.read_bytes() if file.exists() else b"").hexdigest()[:12]

    @property
    def objects(self) -> Path:
        """Objects of all cells, one folder each."""
        return self.data("objects")

    @property
    def socket(self) -> Path:
        """The supervisor's socket."""
        return self.run / "supervisor.sock"

    def data(self, component: str) -> Path:
        """What a component keeps."""
        return self.folder / "data" / component

    @property
    def tag(self) -> str:
        """Eight hexadecimal digits that tell this home from others on the machine."""
        return hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]

    @property
    def user(self) -> str | None:
        """Operating-system user of the platform's processes; None: whoever started it (without root)."""
        if not self.root:
            return None
        return "voicehelper" if self.folder == DEFAULT_ROOT_HOME else f"vh-{self.tag}"

    @property
    def is_default(self) -> bool:
        """Whether this is the machine's main platform, which gets the well-known ports."""
        return "VOICEHELPER_HOME" not in os.environ

    def make(self) -> None:
        """Make the folders with their owners and modes. Safe to run again."""
        from voicehelper_embedded import users

        owner = users.ensure(self.user, self.tag) if self.user else None
        modes = {  # cells' users pass through those that let others pass, to what is theirs
            self.folder: 0o711,
            self.folder / "data": 0o711,
            self.run: 0o711,
            self.objects: 0o711,
            self.releases: 0o755,
            self.models: 0o755,
            self.cache: 0o755,
            self.state: 0o700,
            self.secrets: 0o700,
            self.logs: 0o700,
        }
        for folder, mode in modes.items():
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(mode)
        if owner:
            for folder in (self.run, self.secrets, self.logs, self.objects, self.models):
                os.chown(folder, owner.pw_uid, owner.pw_gid)
