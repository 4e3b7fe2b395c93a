"""Envelopes: typed, versioned, tolerant of later producers and of nothing else."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from voicehelper_core import events, trace
from voicehelper_core.context import TenantContext

WHO = TenantContext("tabcdefghijk", "acme", "u1", "cabcdefghijk", request_id="r1")
ID = uuid.UUID(int=7)


def message(**changes):
    fields = {"conversation_id": ID, "message_id": uuid.uuid4(), "role": "user", "content": "hello"}
    return events.MessageSent(**{**fields, **changes})


def envelope(**payload):
    return events.Envelope.new(WHO, message(**payload), aggregate_id=ID, aggregate_type="conversation")


def changed(**changes):
    document = json.loads(envelope().to_json())
    document.update(changes)
    return json.dumps(document).encode()


def test_what_a_new_envelope_says():
    with trace.use(trace.child_of(None)) as span:
        made = envelope()
    assert (made.tenant_id, made.user_id, made.aggregate_id) == ("tabcdefghijk", "u1", str(ID))
    assert (made.event_type, made.event_version) == ("conversation.message.sent", 1)
    assert made.metadata == {"traceparent": span.traceparent, "request_id": "r1"}
    assert made.timestamp.tzinfo is not None


@given(st.text(), st.decimals(min_value=0, max_value=10**6, places=8), st.integers(0, 2**32 - 1))
def test_round_trip(content, cost, tokens):
    content = content.encode("utf-8", "replace").decode()
    made = envelope(content=content, cost_usd=cost, tokens_used=tokens)
    again = events.Envelope.parse(made.to_json().encode())
    assert again == made
    assert type(again.payload) is events.MessageSent
    assert again.to_json() == made.to_json()


def test_the_last_of_two_tenants_counts():
    """The outbox asks Postgres for the tenant of a payload, which takes the last of several members of one name."""
    text = envelope().to_json()
    for second in ('"tenant_id"', r'"tenant\u005fid"'):
        assert events.Envelope.parse(f'{text[:-1]}, {second}: "tzzzzzzzzzzz"}}'.encode()).tenant_id == "tzzzzzzzzzzz"


def test_money_is_exact():
    document = json.loads(envelope(cost_usd=Decimal("0.10000000001")).to_json())
    assert document["payload"]["cost_usd"] == "0.10000000001"


@pytest.mark.parametrize("kind", events.PAYLOADS.values(), ids=lambda kind: kind.EVENT_TYPE)
def test_every_payload_has_a_schema_of_its_own(kind):
    assert kind.EVENT_VERSION == 1
    assert kind.model_json_schema()["properties"]


def test_what_a_later_producer_adds_is_ignored():
    document = json.loads(envelope().to_json())
    document["payload"]["mood"] = "good"
    document["shard"] = 3
    assert events.Envelope.parse(json.dumps(document)).payload.content == "hello"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "a list"),
        (b"null", "NoneType"),
        (b"{}", "event type None"),
        (changed(event_type="mood.changed"), "'mood.changed' is not known"),
        (changed(event_version=2), r"version 2 .* \(known: \[1\]\)"),
        (changed(event_version="1"), "version '1'"),
        (changed(event_type=["x"]), "is not known"),
        (changed(payload=None), "valid dictionary"),
        (changed(payload={}), "conversation_id: Field required"),
        (changed(event_id="x"), "event_id"),
        (changed(timestamp="2026-01-01T00:00:00"), "timestamp"),
        (changed(tenant_id=""), "tenant_id"),
        (changed(user_id=None), "user_id"),
    ],
)
def test_what_is_no_event(raw, reason):
    with pytest.raises(events.EventError, match=reason):
        events.Envelope.parse(raw)


@pytest.mark.parametrize(
    "payload",
    [{"role": "system"}, {"tokens_used": -1}, {"tokens_used": 2**32}, {"cost_usd": "-1"}, {"cost_usd": "NaN"}],
)
def test_payloads_are_bounded(payload):
    with pytest.raises(ValidationError):
        message(**payload)


def test_reasons_do_not_quote_contents():
    document = json.loads(envelope().to_json())
    document["payload"] |= {"content": 5, "role": "top secret"}
    with pytest.raises(events.EventError) as refused:
        events.Envelope.parse(json.dumps(document))
    assert "top secret" not in str(refused.value)


def test_a_payload_of_another_type_is_refused():
    with pytest.raises(ValidationError, match="not a document"):
        events.Envelope(
            event_id=ID, event_type="document.deleted", event_version=1, aggregate_id="a", aggregate_type="document",
            tenant_id="t", user_id="u", timestamp=datetime.now(UTC), payload=message(),
        )  # fmt: skip
