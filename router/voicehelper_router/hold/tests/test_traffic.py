"""What Envoy's statistics tell of the requests of two releases."""

from __future__ import annotations

from voicehelper_router.hold.traffic import read

CELL = "aaaaaaaaaaaa"
TEXT = f"""cluster.{CELL}-canary-http.upstream_rq_5xx: 2
cluster.{CELL}-canary-http.upstream_rq_completed: 10
cluster.{CELL}-canary-streams.upstream_rq_completed: 5
cluster.{CELL}-http.upstream_rq_completed: 90
cluster.{CELL}-streams.upstream_rq_5xx: 1
cluster.{CELL}-streams.upstream_rq_completed: 9
cluster.{CELL}-canary-http.upstream_rq_time: B0.5(0,0) B500(1,7) B1000(1,8) B3.6e+06(1,10)
cluster.{CELL}-http.upstream_rq_time: B0.5(0,3) B500(1,80) B1000(1,90) B3.6e+06(1,90)
"""


def test_text_of_envoy() -> None:
    bounds, cells = read(TEXT)
    assert bounds == [0.0005, 0.5, 1.0, 3600.0]
    canary, serving = cells[CELL].canary, cells[CELL].serving
    assert (canary.requests, canary.errors, canary.timed, canary.within) == (15, 2, 10, [0, 7, 8, 10])
    assert (serving.requests, serving.errors, serving.timed, serving.within) == (99, 1, 90, [3, 80, 90, 90])


def test_of_nothing() -> None:
    assert read("") == ([], {})
