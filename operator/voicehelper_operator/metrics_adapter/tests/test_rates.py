"""Readings of pods and the rates made of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from voicehelper_operator.metrics_adapter.exposition import Reading, read
from voicehelper_operator.metrics_adapter.rates import Rates

PAGE = """\
# HELP http_requests_total HTTP requests
# TYPE http_requests_total counter
http_requests_total{method="GET",route="/api/v1/conversations/{id}",service="web",status="200"} 40.0
http_requests_total{method="POST",route="/a\\"}b\\\\",service="web",status="500"} 2.0
http_requests_total{method="GET",route="/healthz",service="web",status="200"} 1000.0
http_requests_total{method="GET",route="/readyz",service="web",status="200"} 1000.0
http_requests_total{method="GET",route="/metrics",service="web",status="200"} 1000.0
http_requests_created{method="GET",route="/metrics",service="web",status="200"} 1.7e+09
grpc_server_started_total{grpc_method="Search",grpc_service="retrieval.v1.RetrievalService"} 1.5e+01
process_start_time_seconds 1.75e+09
"""


def test_http_and_grpc_count_and_what_the_platform_asks_itself_does_not():
    assert read(PAGE) == Reading(57.0, 1.75e9)


def test_a_process_without_requests_has_none():
    assert read("# nothing\n") == Reading(0.0, None)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-1", "many"])
def test_what_is_no_amount_is_refused(value):
    with pytest.raises(ValueError):
        read(f'http_requests_total{{route="/a"}} {value}\n')


@given(st.dictionaries(st.text(max_size=8), st.integers(1, 1000), max_size=5))
def test_the_reading_is_what_the_reference_parser_finds(routes):
    registry = CollectorRegistry()
    counter = Counter("http_requests", "HTTP requests", ["service", "route"], registry=registry)
    for route, number in routes.items():
        counter.labels("web", route).inc(number)
    text = generate_latest(registry).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    samples = [sample for sample in families["http_requests"].samples if sample.name == "http_requests_total"]
    own = {"/healthz", "/readyz", "/metrics"}
    assert read(text).total == sum(sample.value for sample in samples if sample.labels["route"] not in own)


def rates(*readings, window=30.0, stale=15.0):
    found = Rates(window, stale)
    for at, total, started in readings:
        found.take("pod", Reading(total, started), at)
    return found


def test_a_rate_is_the_mean_of_its_window():
    steady = rates(*((5.0 * step, 100.0 * step, 1.0) for step in range(20)))
    rate = steady.of("pod", 95.0)
    assert (rate.per_second, rate.window, rate.at) == (20.0, 30.0, 95.0)


def test_a_pod_that_was_seen_once_has_none_yet():
    assert rates((0, 100.0, 1.0)).of("pod", 1) is None
    assert rates().of("pod", 1) is None


def test_a_counter_that_begins_anew_loses_nothing():
    assert rates((0, 100.0, 1.0), (5, 150.0, 1.0), (10, 30.0, 2.0)).of("pod", 10).per_second == 8.0


def test_a_process_that_came_anew_and_counted_further_is_told_by_its_start():
    assert rates((0, 100.0, 1.0), (10, 120.0, 2.0)).of("pod", 10).per_second == 12.0


def test_what_is_not_read_of_late_is_left_out_and_comes_back():
    found = rates((0, 0.0, 1.0), (5, 50.0, 1.0))
    assert found.of("pod", 20).per_second == 10.0
    assert found.of("pod", 21) is None
    found.take("pod", Reading(250.0, 1.0), 25)
    assert found.of("pod", 25).per_second == 10.0


def test_pods_that_are_gone_are_forgotten():
    found = rates((0, 0.0, 1.0), (5, 50.0, 1.0))
    found.keep(["other"])
    assert found.of("pod", 5) is None


@given(st.lists(st.tuples(st.floats(0.1, 10), st.integers(0, 100), st.booleans()), min_size=1, max_size=60))
def test_a_rate_never_is_negative_and_never_more_than_what_was_counted(steps):
    found, at, total, counted = Rates(30.0, 15.0), 0.0, 0.0, 0.0
    found.take("pod", Reading(0.0, None), at)
    for seconds, more, anew in steps:
        at, total, counted = at + seconds, (0.0 if anew else total) + more, counted + more
        found.take("pod", Reading(total, None), at)
    rate = found.of("pod", at)
    assert 0 <= rate.per_second * rate.window <= counted + 1e-6
