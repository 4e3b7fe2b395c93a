"""Envoy's counters, read as the use of cells."""

from __future__ import annotations

import json

import httpx
import pytest
from voicehelper_core.errors import Unavailable
from voicehelper_router.hold.activity import Activity, Use, client, read

A, B = "aaaaaaaaaaaa", "bbbbbbbbbbbb"


def test_text_of_envoy() -> None:
    text = f"""cluster.{A}-grpc.circuit_breakers.default.remaining_pending: 1024
cluster.{A}-grpc.circuit_breakers.default.remaining_rq: 9998
cluster.{A}-http.circuit_breakers.default.remaining_pending: 1023
cluster.{A}-http.circuit_breakers.default.remaining_rq: 9999
http.admin.downstream_rq_total: 7
vhost.all.route.{A}.upstream_rq_total: 12
vhost.all.route.{B}.upstream_rq_total: 3
"""
    assert read(text) == {A: Use(12, 4), B: Use(3, 0)}
    assert read("") == {}


class Envoy:
    """Its statistics, as far as they are asked for."""

    def __init__(self) -> None:
        self.now, self.started, self.asked = 1000.0, 900.0, 0
        self.counters = {A: 5}
        self.there = True

    def answer(self, request: httpx.Request) -> httpx.Response:
        if not self.there:
            return httpx.Response(503)
        self.asked += 1
        if request.url.path == "/server_info":
            return httpx.Response(200, text=json.dumps({"uptime_current_epoch": f"{self.now - self.started:.0f}s"}))
        lines = [f"vhost.all.route.{cell}.upstream_rq_total: {number}" for cell, number in self.counters.items()]
        return httpx.Response(200, text="\n".join([*lines, f"http.admin.downstream_rq_total: {self.asked}"]))

    def restart(self) -> None:
        self.started, self.asked, self.counters = self.now, 0, {}

    def activity(self, seconds: float = 0) -> Activity:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.answer), base_url="http://envoy")
        return Activity(http, seconds, lambda: self.now)


async def test_a_restart_is_another_epoch() -> None:
    envoy = Envoy()
    activity = envoy.activity()
    assert (await activity.uses())[A].requests == 5
    epoch = activity.epoch
    envoy.now += 0.9  # its age is said in whole seconds
    await activity.uses()
    assert activity.epoch == epoch
    envoy.restart()
    envoy.counters = {A: 9}
    assert (await activity.uses())[A].requests == 9
    assert activity.epoch != epoch
    assert envoy.activity().epoch != activity.epoch


async def test_a_restart_after_a_very_short_life_is_noticed() -> None:
    envoy = Envoy()
    activity = envoy.activity()
    await activity.uses()
    epoch = activity.epoch
    envoy.restart()
    envoy.started = 900.5
    assert A not in await activity.uses()
    assert activity.epoch != epoch


async def test_a_counter_that_envoy_dropped_goes_on() -> None:
    envoy = Envoy()
    activity = envoy.activity()
    seen = []
    for number in (5, 7, None, 2, 3, 3):
        envoy.counters = {A: number} if number is not None else {}
        seen.append((await activity.uses())[A].requests)
    assert seen == [5, 7, 7, 9, 10, 10]


async def test_all_cells_are_read_only_so_often() -> None:
    envoy = Envoy()
    activity = envoy.activity(seconds=2)
    await activity.uses()
    asked = envoy.asked
    await activity.uses()
    assert envoy.asked == asked
    envoy.now += 2
    await activity.uses()
    assert envoy.asked > asked


async def test_without_statistics() -> None:
    envoy = Envoy()
    envoy.there = False
    with pytest.raises(Unavailable, match="cannot be read"):
        await envoy.activity().uses()
    with pytest.raises(Unavailable, match="admin_socket"):
        await Activity(client(None, "127.0.0.1", 0), 0).uses()
