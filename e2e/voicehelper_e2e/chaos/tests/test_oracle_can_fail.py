"""Each comparison reports what it has to: one thing lost, doubled, changed or left over is one finding."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voicehelper_e2e.chaos.ledger import Document, Ledger, TenantLedger
from voicehelper_e2e.chaos.oracle import documents, events, messages, orphans
from voicehelper_e2e.chaos.oracle.events import Message, Row, Seen
from voicehelper_e2e.chaos.oracle.world import World

MESSAGES = [
    Message("tenant000001", "c1", f"m{n}", "u1", ("user", "assistant")[n % 2], 10, "", n, Decimal("0.0001"))
    for n in range(6)
]
ROWS = [Row(f"e{n}", 1_700_000_000_123 + n * 30_000, message) for n, message in enumerate(MESSAGES)]


def seen(**changed) -> Seen:
    whole = Seen(Counter(MESSAGES), Counter(ROWS), Counter(ROWS), events.sums(ROWS))
    return replace(whole, **changed)


def checks(found) -> set[str]:
    return {finding.check for finding in found}


def test_what_agrees_is_no_finding_even_when_kafka_delivers_again():
    assert events.compare("acme", seen()) == []
    assert events.compare("acme", seen(kafka=Counter(ROWS + ROWS[:2]))) == []


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 5))
def test_a_message_that_postgres_lost(n):
    assert checks(events.compare("acme", seen(postgres=Counter(MESSAGES) - Counter([MESSAGES[n]])))) == {
        "kafka",
        "warehouse",
    }


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 5))
def test_an_event_that_never_came(n):
    lost = events.compare("acme", seen(kafka=Counter(ROWS) - Counter([ROWS[n]])))
    assert {"kafka", "views"} <= checks(lost)


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 5))
def test_a_row_that_clickhouse_lost(n):
    assert checks(events.compare("acme", seen(clickhouse=Counter(ROWS) - Counter([ROWS[n]])))) == {"warehouse"}


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 5))
def test_a_row_twice_in_clickhouse(n):
    assert checks(events.compare("acme", seen(clickhouse=Counter([*ROWS, ROWS[n]])))) == {"warehouse"}


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 5))
def test_a_message_with_two_events(n):
    twice = [*ROWS, ROWS[n]._replace(event_id="another")]
    found = events.compare("acme", seen(kafka=Counter(twice), clickhouse=Counter(twice), minutes=events.sums(twice)))
    assert checks(found) == {"kafka", "warehouse"}


@pytest.mark.parametrize("place", range(5))
def test_a_minute_of_the_view_that_counts_too_much(place):
    minutes = events.sums(ROWS)
    key = next(iter(minutes))
    sums = list(minutes[key])
    sums[place] += 1
    assert checks(events.compare("acme", seen(minutes={**minutes, key: tuple(sums)}))) == {"views"}


def test_a_minute_that_the_view_lacks_or_invents():
    minutes = events.sums(ROWS)
    key = next(iter(minutes))
    assert checks(events.compare("acme", seen(minutes={k: v for k, v in minutes.items() if k != key}))) == {"views"}
    invented = {**minutes, key._replace(minute=0): minutes[key]}
    assert checks(events.compare("acme", seen(minutes=invented))) == {"views"}


def tenant() -> TenantLedger:
    made = TenantLedger("acme", "tenant000001", "shared-1", "cell00000001")
    made.answers = {"first": "a1", "second": "a2"}
    made.unanswered = {"third"}
    made.documents = {
        "d1": Document("d1", "word1", "x1"),
        "d2": Document("d2", "word2", "x2", deleted=True),
    }
    return made


def test_questions_and_answers():
    whole = (Counter(["first", "second", "third"]), Counter(["a1", "a2", "a3"]))
    assert messages.compare(tenant(), *whole) == []
    assert messages.compare(tenant(), Counter(["first", "second"]), whole[1]) == []
    for questions, answers in (
        (Counter(["first"]), whole[1]),
        (Counter(["first", "second", "second"]), whole[1]),
        (Counter(["first", "second", "third", "third"]), whole[1]),
        (Counter(["first", "second", "stranger"]), whole[1]),
        (whole[0], Counter(["a1"])),
        (whole[0], Counter(["a1", "a2", "a2"])),
    ):
        assert len(messages.compare(tenant(), questions, answers)) == 1


def test_states_of_documents():
    fine = {"d1": {"id": "d1", "status": "indexed", "external_id": "x1"}}
    assert documents.states(tenant(), fine) == []
    assert documents.states(tenant(), {"d1": {**fine["d1"], "status": "failed", "error": "why"}}) == []
    for listed in (
        {},
        {"d1": {**fine["d1"], "status": "failed", "error": ""}},
        {"d1": {**fine["d1"], "status": "uploaded"}},
        {**fine, "d2": {"id": "d2", "status": "indexed", "external_id": "x2"}},
        {**fine, "d3": {"id": "d3", "status": "indexed", "external_id": "stranger"}},
    ):
        assert len(documents.states(tenant(), listed)) == 1


def test_vectors_and_objects_too_few_and_too_many():
    both = documents.compare("cell", "vectors", Counter(["a", "b"]), Counter(["b", "c"]))
    assert [finding.check for finding in both] == ["vectors", "vectors"]
    assert documents.compare("cell", "vectors", Counter(["a"]), Counter(["a"])) == []
    assert documents.compare("cell", "vectors", Counter(["a"]), Counter(["a", "a"])) != []


def test_names_of_what_lives_and_of_what_is_gone():
    world = World(fired=None, ledger=Ledger(), tenants={}, cells={"cell00000001": None})
    found = {"cell00000001.ai.tasks", "cell00000001_knowledge", "cell00000001", "gone00000001.ai.tasks", "public"}
    assert world.strangers(found, {"public"}) == ["gone00000001.ai.tasks"]
    assert world.strangers({"cell00000001x"}) == ["cell00000001x"]


def test_scopes_and_clusters_of_envoy():
    scope = {"key": {"fragments": [{"string_key": "acme"}]}}
    hold = {"key": {"fragments": [{"string_key": "_hold-cell00000001"}]}}
    dump = {
        "configs": [
            {"dynamic_scoped_route_configs": [{"scoped_route_configs": [scope, hold]}]},
            {"dynamic_active_clusters": [{"cluster": {"name": "cell00000001-http"}}]},
        ]
    }
    assert orphans.envoy(dump) == ({"acme"}, {"cell00000001-http"})


def test_a_cell_with_two_accounts_or_another_one_in_each_store_is_found():
    assert orphans.open_accounts("c1", {"Postgres": {"b"}, "Kafka": {"b"}}) == []
    for sides in (
        {"Postgres": {"a", "b"}, "Kafka": {"a", "b"}},
        {"Postgres": {"a"}, "Kafka": {"a", "b"}},
        {"Postgres": {"a"}, "Kafka": {"b"}},
        {"Postgres": set(), "Kafka": set()},
    ):
        assert len(orphans.open_accounts("c1", sides)) == 1


def test_the_first_answer_after_a_kill_is_one_that_was_asked_for_after_it():
    ledger, one = Ledger(), tenant()
    ledger.tenants["acme"] = one
    ledger.successes = [(1.0, 9.0, "acme"), (4.0, 6.0, "acme"), (4.5, 5.0, "other")]
    assert ledger.first_success_after(3.0, "acme") == 3.0
    assert ledger.first_success_after(5.0, "acme") is None
    ledger.answered(one, "text", "a9", time.monotonic())
    assert one.answers["text"] == "a9"
