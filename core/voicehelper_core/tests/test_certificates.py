"""Certificates of a cell: what they say, when they are made anew, that every step of a rotation is trusted by all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from voicehelper_core import names
from voicehelper_core.call_graph import SERVICES
from voicehelper_core.certificates import (
    AUTHORITY,
    LEAF,
    SETTLE,
    Certificates,
    Lifetimes,
    authority,
    renewed,
    renewed_for,
)
from voicehelper_core.embedded_secrets import FileSecretStore

CELL = "ctest0000001"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def made():
    return renewed(None, CELL, SERVICES, now=NOW)


def parsed(text):
    return x509.load_pem_x509_certificates(text.encode())


def trusts(files, peer, now):
    """Whether who has ``files`` accepts the certificate that ``peer`` shows as a client's."""
    store = Store(parsed(files["ca.crt"]))
    verifier = PolicyBuilder().store(store).time(now).build_client_verifier()
    try:
        verifier.verify(parsed(peer["tls.crt"])[0], [])
    except (VerificationError, InvalidSignature):
        return False
    return True


def test_a_leaf_names_its_cell_and_service_and_lives_90_days(made):
    assert set(made.leaves) == set(SERVICES)
    for service in SERVICES:
        certificate = parsed(made.files(service)["tls.crt"])[0]
        known = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert known.get_values_for_type(x509.UniformResourceIdentifier) == [
            f"spiffe://voicehelper/cell/{CELL}/{service}"
        ]
        assert known.get_values_for_type(x509.DNSName) == [names.tls_name(CELL, service)]
        assert certificate.not_valid_after_utc - NOW == LEAF == 90 * DAY
        assert certificate.not_valid_before_utc < NOW
        assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert trusts(made.files("web"), made.files(service), NOW)


def test_a_service_is_given_its_own_key_and_nobody_elses(made):
    files = made.files("rag")
    assert set(files) == {"ca.crt", "tls.crt", "tls.key"}
    text = "".join(files.values())
    assert made.leaves["rag"].key in text
    assert not any(made.leaves[other].key in text for other in SERVICES if other != "rag")
    assert not any(pair.key in text for pair in made.authorities)


def test_another_cell_is_not_trusted(made):
    other = renewed(None, "ctest0000002", SERVICES, now=NOW)
    assert not trusts(made.files("web"), other.files("web"), NOW)


async def test_a_secret_keeps_all_of_it(made, tmp_path):
    store = FileSecretStore(tmp_path)
    await store.put(names.cell_certificates(CELL), made.secret())
    kept = Certificates.of_secret(await store.get(names.cell_certificates(CELL)))
    assert kept == made
    assert renewed(kept, CELL, SERVICES, now=NOW + DAY) == made, "nothing is due, nothing is made"


def test_only_what_is_missing_wrong_or_due_is_made(made):
    fewer = Certificates(made.authorities, {name: made.leaves[name] for name in SERVICES if name != "rag"})
    again = renewed(fewer, CELL, SERVICES, now=NOW + DAY)
    assert {name for name in SERVICES if again.leaves[name] != made.leaves[name]} == {"rag"}
    mixed = Certificates(made.authorities, {**made.leaves, "rag": made.leaves["web"]})
    again = renewed(mixed, CELL, SERVICES, now=NOW + DAY)
    assert {name for name in SERVICES if again.leaves[name] != mixed.leaves[name]} == {"rag"}
    strange = Certificates((authority(CELL, now=NOW),), made.leaves)
    assert all(
        pair != made.leaves[name] for name, pair in renewed(strange, CELL, SERVICES, now=NOW + DAY).leaves.items()
    )
    due = renewed(made, CELL, SERVICES, now=NOW + 2 * LEAF / 3)
    assert due.authorities == made.authorities
    assert not set(due.leaves.values()) & set(made.leaves.values())
    assert "web" not in renewed(made, CELL, ("rag",), now=NOW).leaves, "a service that is gone has none"


@pytest.mark.parametrize("late", [timedelta(0), 12 * timedelta(hours=1)])
def test_two_years_of_rotation_are_trusted_by_who_reads_a_day_late(late):
    """Each process may still have the files of the look before (half a day ago) while others have the newest."""
    states = []
    present = None
    for step in range(2 * 365 * 2):
        now = NOW + step * SETTLE / 2
        present = renewed(present, CELL, ("conversation", "web"), now=now)
        states.append((now, present))
    assert len({pair for _, state in states for pair in state.authorities}) >= 7
    for (_, before), (now, after) in pairwise(states):
        old, new = before, after
        assert len(new.authorities) <= 3
        for one, other in ((old, new), (new, old), (new, new)):
            assert trusts(one.files("conversation"), other.files("web"), now + late), now


def test_a_leaf_does_not_outlive_its_authority(made):
    later = NOW + AUTHORITY / 2 + SETTLE / 2  # the successor is there and does not sign yet
    again = renewed(Certificates(made.authorities, {}), CELL, ("web",), now=later)
    assert len(again.authorities) == 2
    assert again.leaves["web"].parsed.issuer == made.authorities[0].parsed.subject
    assert again.leaves["web"].parsed.not_valid_after_utc <= made.authorities[0].parsed.not_valid_after_utc


def test_others_than_cells_name_their_leaves_and_lifetimes():
    wanted = {"webhook": [x509.DNSName("operator.platform.svc")]}
    short = Lifetimes(leaf=3 * DAY, authority=8 * DAY, settle=DAY)
    first = renewed_for("webhook", None, wanted, lifetimes=short, now=NOW)
    assert renewed_for("webhook", first, wanted, lifetimes=short, now=NOW + DAY) == first
    leaf = first.leaves["webhook"].parsed
    assert leaf.not_valid_after_utc - NOW == 3 * DAY
    assert renewed_for("webhook", first, wanted, lifetimes=short, now=NOW + 2 * DAY).leaves != first.leaves
    other = {"webhook": [x509.DNSName("elsewhere.platform.svc")]}
    assert renewed_for("webhook", first, other, lifetimes=short, now=NOW).leaves != first.leaves


def test_an_authority_of_another_lifetime_has_its_successor_in_time():
    """As when a release makes them for longer than the one before."""
    wanted = {"webhook": [x509.DNSName("operator.platform.svc")]}
    short = renewed_for("webhook", None, wanted, lifetimes=Lifetimes(authority=8 * DAY), now=NOW)
    assert len(renewed_for("webhook", short, wanted, now=NOW + 3 * DAY).authorities) == 1
    assert len(renewed_for("webhook", short, wanted, now=NOW + 4 * DAY).authorities) == 2
