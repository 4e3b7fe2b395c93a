"""TLS between the services of a cell: both sides show a certificate, and files may change while a process runs.

``certificates.py`` makes what is read here. The server side of ``grpc.aio`` asks for its certificates at every new
connection (``dynamic_ssl_server_credentials`` works there as in the synchronous server). The client side of Python's
grpc has nothing of the kind: ``rpc.RemoteChannel`` opens a new channel when the files have changed.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import grpc

from voicehelper_core.log import get_logger

log = get_logger(__name__)
VERSION = "TLSv1.3"
"""Older versions are refused by ``grpc_caller.certified``: Python's grpc has no setting for it."""
Stamp = tuple[tuple[int, int, int], ...]


class TlsSettings(Protocol):
    """What this module needs of a process's settings."""

    tls_ca_file: Path | None
    tls_certificate_file: Path | None
    tls_key_file: Path | None


@dataclass(frozen=True, slots=True)
class Material:
    """The contents of the three files, PEM."""

    authorities: bytes
    certificate: bytes
    key: bytes


class TlsFiles:
    """Three files that somebody renews. Holds what it could read last."""

    def __init__(self, authorities: Path, certificate: Path, key: Path) -> None:
        """Raises OSError where a file cannot be read."""
        self._paths = (authorities, certificate, key)
        self._lock = threading.Lock()  # grpc asks in threads of its own
        self._stamp = self._stamped()
        self._material = self._read()

    @classmethod
    def of(cls, settings: TlsSettings) -> TlsFiles | None:
        """None where no file is set. Raises ValueError for some of them, OSError where one cannot be read."""
        paths = (settings.tls_ca_file, settings.tls_certificate_file, settings.tls_key_file)
        if not any(paths):
            return None
        authorities, certificate, key = paths
        if authorities is None or certificate is None or key is None:
            raise ValueError("set all of tls_ca_file, tls_certificate_file and tls_key_file, or none")
        return cls(authorities, certificate, key)

    def current(self) -> Material:
        """What the files hold; the same object while they do not change."""
        with self._lock:
            try:
                stamp = self._stamped()
                if stamp != self._stamp:
                    material = self._read()
                    if stamp == self._stamped():  # else they are being written: the next caller sees the whole
                        self._stamp, self._material = stamp, material
                        log.info("certificates were read again")
            except OSError as error:
                log.warning("certificates cannot be read, the old ones stay", error_type=type(error).__name__)
            return self._material

    def _stamped(self) -> Stamp:
        found = [path.stat() for path in self._paths]
        return tuple((one.st_mtime_ns, one.st_ino, one.st_size) for one in found)

    def _read(self) -> Material:
        return Material(*(path.read_bytes() for path in self._paths))


def server_credentials(files: TlsFiles) -> Any:
    """For ``add_secure_port``: who has no certificate of the cell's authority does not get a connection."""
    known = files.current()

    def configuration(material: Material) -> Any:
        pair = (material.key, material.certificate)
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=material.authorities)

    def fetch() -> Any:
        nonlocal known
        material = files.current()
        if material is known:
            return None
        known = material
        return configuration(material)

    return grpc.dynamic_ssl_server_credentials(configuration(known), fetch, require_client_authentication=True)


def channel_credentials(material: Material) -> Any:
    """For a channel to a service of the same cell."""
    return grpc.ssl_channel_credentials(material.authorities, material.key, material.certificate)
