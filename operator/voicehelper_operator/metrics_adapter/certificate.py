"""The adapter's own certificate, which nobody has to install: the replicas share it by a Secret.

Each is signed by itself and trusted by name: the APIService holds all of them (``caBundle``). One lives for 90 days;
when a third is left its successor is made, is trusted at once, and serves a day later, when every API server has heard.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from voicehelper_core.certificates import LEAF, SETTLE, Pair

_SKEW = timedelta(minutes=5)  # clocks of nodes differ
_ENDS = "crt", "key"


def renewed(present: Sequence[Pair], host: str, now: datetime) -> tuple[Pair, ...]:
    """Newest first; equal to ``present`` where nothing is due."""
    kept = tuple(pair for pair in present if pair.parsed.not_valid_after_utc > now and _is_for(pair, host))
    due = not kept or kept[0].parsed.not_valid_after_utc - LEAF / 3 <= now
    return (_made(host, now), *kept) if due else kept


def serving(pairs: Sequence[Pair], now: datetime) -> Pair:
    """The newest that everybody has heard of."""
    known = (pair for pair in pairs if now - pair.parsed.not_valid_before_utc >= SETTLE)
    return next(known, pairs[-1])


def bundle(pairs: Sequence[Pair]) -> str:
    """All that are trusted, as an APIService has it."""
    return base64.b64encode("".join(pair.certificate for pair in pairs).encode()).decode()


def of_secret(data: Mapping[str, str]) -> tuple[Pair, ...]:
    """What ``to_secret`` gave; what is not whole or cannot be read is left out."""
    found = []
    for place in range(len(data)):
        certificate, key = (base64.b64decode(data.get(f"{place}.{end}", "")).decode() for end in _ENDS)
        pair = Pair(certificate, key)
        if certificate and key and _readable(pair):
            found.append(pair)
    return tuple(found)


def to_secret(pairs: Sequence[Pair]) -> dict[str, str]:
    """Data of a Secret."""
    texts = {f"{place}.{end}": text for place, pair in enumerate(pairs)
             for end, text in zip(_ENDS, (pair.certificate, pair.key), strict=True)}  # fmt: skip
    return {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}


def _readable(pair: Pair) -> bool:
    try:
        return bool(pair.parsed)
    except ValueError:
        return False


def _is_for(pair: Pair, host: str) -> bool:
    names = pair.parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return host in names.get_values_for_type(x509.DNSName)


def _made(host: str, now: datetime) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - _SKEW)
        .not_valid_after(now + LEAF)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return Pair(certificate.public_bytes(Encoding.PEM).decode(), private)
