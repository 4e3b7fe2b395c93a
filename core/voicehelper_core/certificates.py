"""Makes the certificates by which the services of a cell know each other: an authority for the cell, a leaf a service.

A leaf says who it is by a SPIFFE id (``spiffe://voicehelper/cell/<cell id>/<service>``) and by the name that callers
expect of the server. Other owners than cells name their leaves themselves (``renewed_for``). Keys are on P-256. Who
asks again gets what is there, with what is due made anew, so this can run in every look of the operator:

* A leaf lives for 90 days and is renewed when a third of that is left.
* An authority lives for 180 days; after 90 its successor is made. The successor is trusted at once and signs a day
  later, when every process has read the longer list: in between, none meets a certificate that it cannot verify.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from voicehelper_core import names

LEAF = timedelta(days=90)
"""Validity of a service's certificate."""
AUTHORITY = timedelta(days=180)
"""Validity of a cell's authority."""
SETTLE = timedelta(days=1)
"""How long an authority is trusted before it signs."""
_SKEW = timedelta(minutes=5)  # clocks of nodes differ
Names = Sequence[x509.GeneralName]
CA_FILE, CERTIFICATE_FILE, KEY_FILE = "ca.crt", "tls.crt", "tls.key"
"""Names of the three files of a service, those of a Kubernetes TLS secret."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, both PEM."""

    certificate: str
    key: str

    @property
    def parsed(self) -> x509.Certificate:
        """The certificate. Raises ValueError for what is none."""
        return x509.load_pem_x509_certificate(self.certificate.encode())


@dataclass(frozen=True, slots=True)
class Certificates:
    """All of a cell. ``authorities`` are trusted, newest first."""

    authorities: tuple[Pair, ...]
    leaves: Mapping[str, Pair]

    def files(self, service: str) -> dict[str, str]:
        """What the processes of one service are given; no authority's key is among it."""
        leaf = self.leaves[service]
        trusted = "".join(authority.certificate for authority in self.authorities)
        return {CA_FILE: trusted, CERTIFICATE_FILE: leaf.certificate, KEY_FILE: leaf.key}

    def secret(self) -> dict[str, str]:
        """All of it for a secret store, for the operator's eyes only."""
        pairs = {f"authority-{place}": pair for place, pair in enumerate(self.authorities)}
        pairs |= {f"leaf-{service}": pair for service, pair in self.leaves.items()}
        return {f"{name}.{end}": text for name, pair in pairs.items() for end, text in _ends(pair).items()}

    @classmethod
    def of_secret(cls, secret: Mapping[str, str]) -> Certificates:
        """What ``secret`` gave. Raises KeyError for half a pair."""
        pairs = {
            name.removesuffix(".crt"): Pair(text, secret[name.removesuffix(".crt") + ".key"])
            for name, text in secret.items()
            if name.endswith(".crt")
        }
        authorities = sorted(name for name in pairs if name.startswith("authority-"))
        leaves = {name.removeprefix("leaf-"): pair for name, pair in pairs.items() if name.startswith("leaf-")}
        return cls(tuple(pairs[name] for name in authorities), leaves)


def _ends(pair: Pair) -> dict[str, str]:
    return {"crt": pair.certificate, "key": pair.key}


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long things are good for, and how long an authority is trusted before it signs."""

    leaf: timedelta = LEAF
    authority: timedelta = AUTHORITY
    settle: timedelta = SETTLE


def renewed(
    present: Certificates | None, cell_id: str, services: Iterable[str], *, now: datetime | None = None
) -> Certificates:
    """The cell's certificates as they should be now; equal to ``present`` where nothing is due."""
    wanted = {service: _identities(cell_id, service) for service in services}
    return renewed_for(f"cell {names.checked(cell_id)}", present, wanted, now=now)


def renewed_for(
    owner: str,
    present: Certificates | None,
    wanted: Mapping[str, Names],
    *,
    lifetimes: Lifetimes | None = None,
    now: datetime | None = None,
) -> Certificates:
    """Those of any owner: an authority called after it, and a leaf with its names for each of ``wanted``."""
    now, lives = now or datetime.now(UTC), lifetimes or Lifetimes()
    authorities = [pair for pair in present.authorities if pair.parsed.not_valid_after_utc > now] if present else []
    if not authorities or _age(authorities[0], now) >= _life(authorities[0]) / 2:
        authorities.insert(0, _authority(owner, now=now, until=now + lives.authority))
    signer = next((pair for pair in authorities if _age(pair, now) >= lives.settle), authorities[-1])
    kept = present.leaves if present else {}
    leaves = {
        name: kept[name]
        if name in kept and _good(kept[name], identities, authorities, now + lives.leaf / 3)
        else _leaf(signer, name, identities, now=now, until=now + lives.leaf)
        for name, identities in wanted.items()
    }
    return Certificates(tuple(authorities), leaves)


def _age(pair: Pair, now: datetime) -> timedelta:
    return now - (pair.parsed.not_valid_before_utc + _SKEW)


def _life(pair: Pair) -> timedelta:
    """Its own: an earlier release may have made it with another."""
    return pair.parsed.not_valid_after_utc - (pair.parsed.not_valid_before_utc + _SKEW)


def _good(pair: Pair, identities: Names, authorities: list[Pair], until: datetime) -> bool:
    """Whether a leaf has these names, is signed by somebody who is trusted, and does not end before ``until``."""
    certificate = pair.parsed
    if until >= certificate.not_valid_after_utc:
        return False
    if set(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value) != set(identities):
        return False
    return any(_signed(certificate, authority.parsed) for authority in authorities)


def _signed(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except Exception:  # another name, another key, a broken signature
        return False
    return True


def _identities(cell_id: str, service: str) -> list[x509.GeneralName]:
    return [
        x509.UniformResourceIdentifier(names.spiffe_id(cell_id, service)),
        x509.DNSName(names.tls_name(cell_id, service)),
    ]


def authority(cell_id: str, *, now: datetime) -> Pair:
    """A new authority of a cell."""
    return _authority(f"cell {names.checked(cell_id)}", now=now, until=now + AUTHORITY)


def _authority(owner: str, *, now: datetime, until: datetime) -> Pair:
    """Under a name of its own: two with one name cannot be told apart when both are trusted."""
    key, serial = ec.generate_private_key(ec.SECP256R1()), x509.random_serial_number()
    name = _name(f"{owner} {serial:x}"[:64])
    made = (
        _builder(name, name, key, serial=serial, now=now, until=until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pair(made, key)


def _leaf(signer: Pair, name: str, identities: Names, *, now: datetime, until: datetime) -> Pair:
    """A certificate for both sides of a connection; it does not outlive its authority."""
    key, by = ec.generate_private_key(ec.SECP256R1()), signer.parsed
    until = min(until, by.not_valid_after_utc)
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    known = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
        by.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    )
    made = (
        _builder(_name(name), by.subject, key, serial=x509.random_serial_number(), now=now, until=until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(both, critical=False)
        .add_extension(x509.SubjectAlternativeName(identities), critical=False)
        .add_extension(known, critical=False)
        .sign(_key(signer), hashes.SHA256())
    )
    return _pair(made, key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    *,
    serial: int,
    now: datetime,
    until: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - _SKEW)
        .not_valid_after(until)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _key(pair: Pair) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(pair.key.encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the authority's key is of another kind than ours")
    return key


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(
        certificate.public_bytes(Encoding.PEM).decode(),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    )
