"""The cluster's certificates: one authority; names in them are users and groups to the API server."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE = timedelta(days=3650)
_USES = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a certificate is for: ``name`` (user), ``group``, and the names and addresses that it serves under."""

    name: str
    group: str = ""
    hosts: tuple[str, ...] = field(default=())


class Authority:
    """Signs; its files are ``ca.crt`` and ``ca.key`` in the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _distinguished(Subject("voicehelper-cluster"))
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        builder = _builder(self._name, self._name, self._key.public_key()).add_extension(constraints, critical=True)
        self._write("ca", self._key, builder.sign(self._key, hashes.SHA256()))

    def issue(self, file: str, subject: Subject) -> None:
        """``FILE.crt`` and ``FILE.key``, good for servers and clients."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_distinguished(subject), self._name, key.public_key())
        builder = builder.add_extension(x509.ExtendedKeyUsage(_USES), critical=False)
        if subject.hosts:
            alternatives = x509.SubjectAlternativeName([_general(host) for host in subject.hosts])
            builder = builder.add_extension(alternatives, critical=False)
        self._write(file, key, builder.sign(self._key, hashes.SHA256()))

    def key_pair(self, file: str) -> None:
        """``FILE.key`` and ``FILE.pub``: for signing service accounts' tokens."""
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self._private(f"{file}.key", key)
        (self._folder / f"{file}.pub").write_bytes(public)

    def _write(self, file: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._private(f"{file}.key", key)
        (self._folder / f"{file}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _private(self, file: str, key: ec.EllipticCurvePrivateKey) -> None:
        path = self._folder / file
        path.touch(mode=0o600)
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


def _distinguished(subject: Subject) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, subject.name)]
    if subject.group:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, subject.group))
    return x509.Name(parts)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LIFE)
    )


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
