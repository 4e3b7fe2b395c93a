"""Certificates that the replicas of a server share by a Secret: whichever is first makes them, all show the same.

A new authority is trusted a day before it signs. So a certificate that one replica has begun to show is trusted by
every API server already, although the others have not read the Secret yet.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from cryptography import x509
from voicehelper_core import errors
from voicehelper_core.certificates import Certificates, Lifetimes, renewed_for
from voicehelper_core.kubernetes_api import KubernetesSecretStore
from voicehelper_core.log import get_logger

log = get_logger(__name__)
_TRIES = 5


class SharedCertificates:
    """Of one server: an authority, and a leaf of the server's name for the hosts by which clients know it."""

    def __init__(
        self,
        secrets: KubernetesSecretStore,
        name: str,
        server: str,
        hosts: Sequence[str],
        *,
        lifetimes: Lifetimes | None = None,
    ) -> None:
        self._secrets, self._name, self._server, self._lifetimes = secrets, name, server, lifetimes
        self._wanted = {server: [_general(host) for host in hosts]}
        self._current: Certificates | None = None

    async def look(self) -> Certificates:
        """Read the Secret and renew in it what is due. Raises AppError.

        What was deleted or emptied is made anew, which is how to be rid of a key that others know; what is broken
        becomes what it was.
        """
        for _ in range(_TRIES):
            stored, version = await self._secrets.read(self._name)
            kept = _parsed(stored or {}, self._name)
            present = kept or (self._current if stored else None)
            current = renewed_for(f"voicehelper {self._server}", present, self._wanted, lifetimes=self._lifetimes)
            try:
                if current != kept:
                    await self._secrets.replace(self._name, current.secret(), version)
                    log.info("certificates were renewed", secret=self._name, authorities=len(current.authorities))
            except errors.Conflict:  # another replica was quicker: its certificates are ours
                continue
            self._current = current
            return current
        raise errors.Unavailable(f"the Secret '{self._name}' changes all the time")


def _parsed(stored: dict[str, str], name: str) -> Certificates | None:
    """None for what is not there or broken."""
    try:
        found = Certificates.of_secret(stored)
        for pair in (*found.authorities, *found.leaves.values()):
            _ = pair.parsed
    except (KeyError, ValueError) as error:
        log.warning("certificates cannot be read", secret=name, error=str(error))
        return None
    return found if found.authorities else None


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
