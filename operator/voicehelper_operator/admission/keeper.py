"""The certificates of the webhook: made by whichever replica is first, shared by all, renewed while requests go on."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography import x509
from voicehelper_core import errors
from voicehelper_core.certificates import (
    CA_FILE,
    CERTIFICATE_FILE,
    KEY_FILE,
    Certificates,
    Lifetimes,
    renewed_for,
)
from voicehelper_core.kubernetes_api import KubernetesSecretStore
from voicehelper_core.log import get_logger

from voicehelper_operator.admission import metrics

log = get_logger(__name__)
_LEAF = "webhook"
_TRIES = 5


class CertificateKeeper:
    """``context`` is what the server listens with: its certificate changes, and no connection notices.

    A new authority is trusted a day before it signs. So a certificate that one replica has begun to show is trusted by
    every API server already, although the others have not read the Secret yet.
    """

    def __init__(
        self,
        secrets: KubernetesSecretStore,
        name: str,
        hosts: Sequence[str],
        *,
        lifetimes: Lifetimes | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._secrets, self._name, self._lifetimes, self._changed = secrets, name, lifetimes, changed
        self._wanted = {_LEAF: [_general(host) for host in hosts]}
        self._current: Certificates | None = None
        self._files: dict[str, str] = {}
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3

    @property
    def bundle(self) -> str:
        """PEM of all authorities that are trusted."""
        return self._files[CA_FILE]

    async def look(self) -> None:
        """Read the Secret, renew in it what is due, and show what it has. Raises AppError.

        One that was deleted is made anew, which is how to be rid of a key that others know; one that is broken becomes
        what it was.
        """
        for _ in range(_TRIES):
            stored, version = await self._secrets.read(self._name)
            kept = _parsed(stored)
            present = kept or (self._current if stored is not None else None)
            current = renewed_for("voicehelper webhook", present, self._wanted, lifetimes=self._lifetimes)
            try:
                if current != kept:
                    await self._secrets.replace(self._name, current.secret(), version)
                    log.info("certificates were renewed", secret=self._name, authorities=len(current.authorities))
            except errors.Conflict:  # another replica was quicker: its certificates are ours
                continue
            return self._show(current)
        raise errors.Unavailable(f"the Secret '{self._name}' changes all the time")

    async def keep(self, seconds: float) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.look()
            except errors.AppError as error:  # there is time: a third of a certificate's life
                log.warning("certificates cannot be looked at", secret=self._name, error=error.detail[:300])

    def _show(self, current: Certificates) -> None:
        files = current.files(_LEAF)
        if files == self._files:
            return
        before, self._files, self._current = self._files, files, current
        if files[CERTIFICATE_FILE] != before.get(CERTIFICATE_FILE):
            with tempfile.TemporaryDirectory() as folder:
                certificate, key = (Path(folder, name) for name in (CERTIFICATE_FILE, KEY_FILE))
                for path in (certificate, key):
                    path.touch(mode=0o600)
                    path.write_text(files[path.name])
                # New connections get it. Handshakes are on this thread too: none sees one half of a pair.
                self.context.load_cert_chain(certificate, key)
            metrics.EXPIRES.set(current.leaves[_LEAF].parsed.not_valid_after_utc.timestamp())
        self._changed()


def _parsed(stored: dict[str, str] | None) -> Certificates | None:
    """None for what is not there or broken."""
    if stored is None:
        return None
    try:
        found = Certificates.of_secret(stored)
        for pair in (*found.authorities, *found.leaves.values()):
            _ = pair.parsed
    except (KeyError, ValueError) as error:
        log.warning("the webhook's certificates cannot be read", error=str(error))
        return None
    return found if found.authorities else None


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
