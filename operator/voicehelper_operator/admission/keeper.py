"""The certificates of the webhook, renewed while requests go on."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from voicehelper_core import errors
from voicehelper_core.certificates import CA_FILE, CERTIFICATE_FILE, KEY_FILE, Certificates, Lifetimes
from voicehelper_core.kubernetes_api import KubernetesSecretStore
from voicehelper_core.log import get_logger

from voicehelper_operator.admission import metrics
from voicehelper_operator.certificates import SharedCertificates

log = get_logger(__name__)
_SERVER = "webhook"


class CertificateKeeper:
    """``context`` is what the server listens with: its certificate changes, and no connection notices."""

    def __init__(
        self,
        secrets: KubernetesSecretStore,
        name: str,
        hosts: Sequence[str],
        *,
        lifetimes: Lifetimes | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._shared = SharedCertificates(secrets, name, _SERVER, hosts, lifetimes=lifetimes)
        self._name, self._changed = name, changed
        self._files: dict[str, str] = {}
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3

    @property
    def bundle(self) -> str:
        """PEM of all authorities that are trusted."""
        return self._files[CA_FILE]

    async def look(self) -> None:
        """Renew what is due, and show what all replicas have. Raises AppError."""
        self._show(await self._shared.look())

    async def keep(self, seconds: float) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.look()
            except errors.AppError as error:  # there is time: a third of a certificate's life
                log.warning("certificates cannot be looked at", secret=self._name, error=error.detail[:300])

    def _show(self, current: Certificates) -> None:
        files = current.files(_SERVER)
        if files == self._files:
            return
        before, self._files = self._files, files
        if files[CERTIFICATE_FILE] != before.get(CERTIFICATE_FILE):
            with tempfile.TemporaryDirectory() as folder:
                certificate, key = (Path(folder, name) for name in (CERTIFICATE_FILE, KEY_FILE))
                for path in (certificate, key):
                    path.touch(mode=0o600)
                    path.write_text(files[path.name])
                # New connections get it. Handshakes are on this thread too: none sees one half of a pair.
                self.context.load_cert_chain(certificate, key)
            metrics.EXPIRES.set(current.leaves[_SERVER].parsed.not_valid_after_utc.timestamp())
        self._changed()
