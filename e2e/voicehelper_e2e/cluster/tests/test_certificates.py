"""The cluster's certificates, as TLS sees them."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest
from cryptography import x509
from voicehelper_e2e.cluster.certificates import Authority, Subject


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    authority = Authority(tmp_path / "pki")
    authority.issue("server", Subject("server", hosts=("kubernetes.default", "10.0.0.1")))
    authority.issue("client", Subject("node1", "system:nodes"))
    return tmp_path / "pki"


def _talk(pki: Path, name: str) -> dict[str, object]:
    """The client's certificate as the server sees it."""
    ours, theirs = socket.socketpair()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pki / "ca.crt"))
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_cert_chain(pki / "server.crt", pki / "server.key")
    client = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    client.load_cert_chain(pki / "client.crt", pki / "client.key")
    seen: dict[str, object] = {}

    def serve() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as secured:
                seen.update(secured.getpeercert() or {})
                secured.sendall(b"x")
        except ssl.SSLError:
            pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname=name) as secured:
            secured.recv(1)
    finally:
        ours.close()
        thread.join()
    return seen


def test_both_sides_know_each_other(pki: Path) -> None:
    for name in ("kubernetes.default", "10.0.0.1"):
        assert (("commonName", "node1"),) in _talk(pki, name)["subject"]  # type: ignore[operator]


def test_a_name_that_is_not_served(pki: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        _talk(pki, "elsewhere")


def test_groups_are_organizations_and_keys_are_private(pki: Path) -> None:
    certificate = x509.load_pem_x509_certificate((pki / "client.crt").read_bytes())
    assert certificate.subject.rfc4514_string() == "CN=node1,O=system:nodes"
    assert {stat.S_IMODE(path.stat().st_mode) for path in pki.glob("*.key")} == {0o600}
