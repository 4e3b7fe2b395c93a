"""The closed set of requests of the supervisor's socket."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from pathlib import Path

import pytest
from voicehelper_embedded.home import Home
from voicehelper_embedded.supervisor.tests.running import BODY, CELL, RELEASE, Running


async def test_a_cells_life(home):
    async with Running(home) as running:
        path = f"/workloads/cell-{CELL}"
        assert (await running.http.get(path)).status_code == 404
        assert (await running.http.put(path, json=BODY)).json()["release"] == RELEASE
        state = await running.until_ready()
        assert state["http"] == f"127.0.0.1:{state['port']}"
        again = (await running.http.put(path, json=BODY)).json()
        assert (again["pid"], again["http"], again["grpc"]) == (state["pid"], state["http"], state["grpc"])
        config = home.run / "cells" / CELL / "serve.json"
        assert json.loads(config.read_text())["secret"] == "s"
        assert config.stat().st_mode & 0o777 == 0o600
        changed = {**BODY, "config": {**BODY["config"], "secret": "t"}}
        assert state["settled"]
        assert not (await running.http.put(path, json=changed)).json()["settled"]  # what runs was told something older
        async with asyncio.timeout(20):
            while (now := (await running.http.get(path)).json())["pid"] == state["pid"] or now["state"] != "ready":
                await asyncio.sleep(0.05)
        assert now["settled"]
        assert now["http"] == state["http"]
        assert [item["name"] for item in (await running.http.get("/workloads")).json()] == [f"cell-{CELL}"]
        assert (await running.http.delete(path)).status_code == 204
        assert (await running.http.delete(path)).status_code == 204
        assert (await running.http.get(path)).status_code == 404
        assert not config.exists()


async def test_cells_outlive_their_supervisor(home):
    async with Running(home) as first:
        await first.http.put(f"/workloads/cell-{CELL}", json=BODY)
        before = await first.until_ready()
        keepers = first.supervisor.units[f"cell-{CELL}"]
    async with Running(home) as second:
        after = await second.until_ready()
        assert (after["pid"], after["http"]) == (before["pid"], before["http"])
        await second.close()
        assert not keepers.process.alive()


async def test_steps_run_to_their_end(home):
    async with Running(home) as running:
        path = f"/workloads/cell-{CELL}/run"
        done = (await running.http.post(path, json={**BODY, "command": "migrate"})).json()
        assert done["status"] == 0
        assert json.loads(done["stdout"]) == {"schema_revision": "conversation=0001"}
        failed = await running.http.post(path, json={**BODY, "command": "migrate", "config": {"fails": 4}})
        assert failed.json()["status"] == 4
    assert not list(home.run.rglob("migrate.json")), "the workload's user may not keep the credentials of migrations"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("cell-mnopqrstuvwx", {}),
        ("../../etc", {}),
        ("postgres", {}),
        (f"cell-{CELL}", {"module": "os"}),
        (f"cell-{CELL}", {"release": "../../tmp"}),
        (f"cell-{CELL}", {"cell_id": "../x"}),
        (f"cell-{CELL}", {"extra": 1}),
    ],
)
async def test_everything_else_is_refused(home, name, change):
    async with Running(home) as running:
        for method, path in (("PUT", f"/workloads/{name}"), ("POST", f"/workloads/{name}/run")):
            body = {**BODY, **change, **({"command": "migrate"} if method == "POST" else {})}
            assert 400 <= (await running.http.request(method, path, json=body)).status_code < 500
        assert (await running.http.get("/workloads")).json() == []


@pytest.mark.parametrize("command", ["serve", "-c", "migrate; id"])
async def test_only_migrations_run(home, command):
    async with Running(home) as running:
        answer = await running.http.post(f"/workloads/cell-{CELL}/run", json={**BODY, "command": command})
        assert answer.status_code == 400


async def test_stop_and_hand_over(home):
    async with Running(home) as running:
        await running.http.post("/stop")
        await running.http.post("/stop", params={"keep": True})
        assert running.ended == [True, False]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
async def test_other_users_are_turned_away():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # pytest's own folders are private
        Path(folder).chmod(0o711)
        home = Home(Path(folder))
        home.make()
        await _ask_as_somebody_else(home)


async def _ask_as_somebody_else(home):
    async with Running(home):
        home.socket.chmod(0o666)
        code = (
            "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
            "s.sendall(b'GET /components HTTP/1.0\\r\\n\\r\\n'); print(len(s.recv(10)))"
        )
        asking = await asyncio.create_subprocess_exec(
            "/usr/bin/python3", "-c", code, str(home.socket), user=65534, group=65534, extra_groups=[],
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, trouble = await asking.communicate()
        assert said.strip() in (b"0", b""), trouble
        assert b"PermissionError" not in trouble
