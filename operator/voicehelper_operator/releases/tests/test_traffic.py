"""What the routers tell of the requests of two releases, as counters and as evidence."""

from __future__ import annotations

import httpx
import pytest
from voicehelper_crds.traffic import Analysis, Stage

from voicehelper_operator.releases import evidence
from voicehelper_operator.releases.traffic import BOUNDS, RoutersTraffic
from voicehelper_operator.tests.memory_traffic import counters

CELL = "aaaaaaaaaaaa"
STAGE = Stage(weight=10, max_error_percent=1, max_p95_milliseconds=500)
TOLD = {
    "bounds": [0.0005, *BOUNDS, 3600.0],
    "epoch": "e1",
    "cells": {CELL: {"canary": {"requests": 7, "errors": 2, "timed": 6, "within": [0, *[5] * len(BOUNDS), 6]}}},
}


def reader(answer: httpx.Response | Exception) -> RoutersTraffic:
    def ask(request: httpx.Request) -> httpx.Response:
        assert request.url.params.get_list("cell") == [CELL]
        if isinstance(answer, Exception):
            raise answer
        return answer

    made = RoutersTraffic("http://127.0.0.1:1")
    made._http = httpx.AsyncClient(transport=httpx.MockTransport(ask))
    return made


async def test_counters_of_both_releases() -> None:
    reading = await reader(httpx.Response(200, json=TOLD)).read([CELL])
    router = "http://127.0.0.1:1@e1"
    assert reading.canary == {CELL: {router: (7, 2, 6, *[5] * len(BOUNDS))}}
    assert reading.serving == {CELL: {router: (0, 0, 0, *[0] * len(BOUNDS))}}
    assert not reading.problem


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(503),
        httpx.Response(200, text="no JSON"),
        httpx.Response(200, json={"cells": {}}),
        httpx.ConnectError("x"),
    ],
)
async def test_what_cannot_be_had_is_a_problem(answer: httpx.Response | Exception) -> None:
    assert "does not tell" in (await reader(answer).read([CELL])).problem


def test_evidence_survives_and_begins_where_the_counters_stood() -> None:
    known = evidence.updated(evidence.Evidence(), STAGE, {"router@1": counters(500, 500, 500)}, {})
    assert {item.result for item in evidence.verdicts(known, STAGE, Analysis(), 0)} == {"NoData"}
    known = evidence.updated(evidence.load(evidence.save(known)), STAGE, {"router@1": counters(3500, 500, 500)}, {})
    assert {item.result for item in evidence.verdicts(known, STAGE, Analysis(), 0)} == {"Success"}
    restarted = {"router@2": counters(3000, 3000, 3000)}
    known = evidence.updated(evidence.load(evidence.save(known)), STAGE, restarted, {})
    assert {item.result for item in evidence.verdicts(known, STAGE, Analysis(), 0)} == {"Failure"}
    assert evidence.verdicts(known.begun_anew(), STAGE, Analysis(), 0)[0].result == "NoData"


def test_what_another_version_saved_begins_anew() -> None:
    assert evidence.load('{"of": "another version"}') == evidence.Evidence()
