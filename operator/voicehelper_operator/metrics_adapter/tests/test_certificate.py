"""The certificate of the adapter, over the years."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from voicehelper_operator.metrics_adapter import certificate

HOST = "metrics-adapter.voicehelper-prod.svc"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_one_is_made_and_stays():
    (pair,) = made = certificate.renewed((), HOST, NOW)
    assert certificate.renewed(made, HOST, NOW + timedelta(days=59)) == made
    assert certificate.serving(made, NOW) is pair
    assert pair.parsed.not_valid_after_utc == NOW + timedelta(days=90)


def test_its_successor_is_trusted_a_day_before_it_serves():
    first = certificate.renewed((), HOST, NOW)
    due = NOW + timedelta(days=61)
    both = certificate.renewed(first, HOST, due)
    assert both[1:] == first
    assert certificate.serving(both, due) == first[0]
    assert certificate.serving(both, due + timedelta(days=1)) == both[0]
    assert certificate.bundle(both) != certificate.bundle(first)
    assert certificate.renewed(both, HOST, NOW + timedelta(days=91)) == both[:1]


def test_one_of_another_name_is_replaced_at_once():
    before = certificate.renewed((), "old.voicehelper-prod.svc", NOW)
    (pair,) = made = certificate.renewed(before, HOST, NOW + timedelta(days=1))
    assert pair != before[0]
    assert certificate.serving(made, NOW + timedelta(days=1)) is pair


def test_the_secret_keeps_all_and_rubbish_is_left_out():
    pairs = certificate.renewed(certificate.renewed((), HOST, NOW), HOST, NOW + timedelta(days=61))
    data = certificate.to_secret(pairs)
    assert certificate.of_secret(data) == pairs
    assert certificate.of_secret({**data, "0.crt": "bm90IG9uZQ=="}) == pairs[1:]
    assert certificate.of_secret({}) == ()
