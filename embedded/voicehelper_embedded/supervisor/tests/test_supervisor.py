"""Order, adoption, back-off and ends, with real small processes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest
from voicehelper_core.errors import NotFound
from voicehelper_embedded.supervisor import identity, unit
from voicehelper_embedded.supervisor.clock import AwakeClock
from voicehelper_embedded.supervisor.identity import Identity
from voicehelper_embedded.supervisor.process import Launch, Process, start
from voicehelper_embedded.supervisor.state import Known, ProcessTable
from voicehelper_embedded.supervisor.supervisor import levels


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    monkeypatch.setattr(unit, "BACKOFF_SECONDS", (0.05, 0.1))
    monkeypatch.setattr(unit, "_PROBE_READY", 0.1)


async def test_dependants_wait_for_what_they_require(house, Sleeper, eventually):
    order: list[str] = []
    supervisor = house.supervisor()
    store, service = Sleeper("store"), Sleeper("service", "store")
    store.answer = "still starting"
    store.ready_order = service.ready_order = order
    for component in (store, service):
        supervisor.add(component)
    await eventually(lambda: supervisor.units["store"].state.message == "still starting")
    assert supervisor.units["service"].process is None
    store.answer = None
    await eventually(supervisor.units["service"].ready.is_set)
    assert order == ["store", "service"]
    assert [item["state"] for item in supervisor.describe()] == ["ready", "ready"]


async def test_levels_follow_requirements(house, Sleeper):
    supervisor = house.supervisor()
    for component in (Sleeper("a"), Sleeper("b"), Sleeper("c", "a"), Sleeper("d", "c", "b")):
        supervisor.add(component)
    assert levels(supervisor.units) == [["a", "b"], ["c"], ["d"]]


async def test_a_killed_process_comes_back(house, Sleeper, eventually):
    supervisor, sleeper = house.supervisor(), Sleeper("one")
    keeper = supervisor.add(sleeper)
    await eventually(keeper.ready.is_set)
    first = keeper.process.pid
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: keeper.ready.is_set() and keeper.process.pid != first)
    assert keeper.state.restarts == 1
    assert sleeper.set_up == 2


async def test_the_next_supervisor_adopts_survivors(house, Sleeper, eventually):
    first = house.supervisor()
    keeper = first.add(Sleeper("one"))
    await eventually(keeper.ready.is_set)
    pid = keeper.process.pid
    await first.detach()  # as after kill -9: nobody told the process anything
    second = house.supervisor()
    adopted = second.add(Sleeper("one"))
    await eventually(adopted.ready.is_set)
    assert adopted.process.pid == pid
    assert len(list(identity.marked(house.folder))) == 1
    await second.stop()
    assert not adopted.ready.is_set()
    assert list(identity.marked(house.folder)) == []


async def test_an_adopted_process_is_watched_to_its_end(house, Sleeper, eventually):
    first = house.supervisor()
    await eventually(first.add(Sleeper("one")).ready.is_set)
    await first.detach()
    adopted = house.supervisor().add(Sleeper("one"))
    await eventually(adopted.ready.is_set)
    pid = adopted.process.pid
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: adopted.ready.is_set() and adopted.process.pid != pid)


async def test_a_survivor_with_another_configuration_is_replaced(house, Sleeper, eventually):
    first = house.supervisor()
    keeper = first.add(Sleeper("one", config="old"))
    await eventually(keeper.ready.is_set)
    pid = keeper.process.pid
    await first.detach()
    replaced = house.supervisor().add(Sleeper("one", config="new"))
    await eventually(replaced.ready.is_set)
    assert replaced.process.pid != pid
    assert [found.pid for _, found in identity.marked(house.folder)] == [replaced.process.pid]


async def test_a_reused_pid_is_not_adopted(house, Sleeper, eventually):
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        table = ProcessTable(house.folder)
        digest = (await Sleeper("one").prepare()).digest
        table.put("one", Known(Identity(stranger.pid, f"{identity.boot_id()}:1"), digest))
        keeper = house.supervisor().add(Sleeper("one"))
        await eventually(keeper.ready.is_set)
        assert keeper.process.pid != stranger.pid
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_what_a_supervisor_started_in_its_last_moment_is_not_doubled(house, Sleeper, eventually):
    lost = start(await Sleeper("one").prepare(), house.logs / "one.log", f"{house.folder}:one")  # not in the table
    keeper = house.supervisor().add(Sleeper("one"))
    await eventually(keeper.ready.is_set)
    assert not lost.alive()
    assert [found.pid for _, found in identity.marked(house.folder)] == [keeper.process.pid]


async def test_what_cannot_start_backs_off_and_says_why(house, Sleeper, eventually):
    supervisor = house.supervisor()
    sleeper = Sleeper("broken", code="raise SystemExit(3)")
    sleeper.answer = "nothing there"
    keeper = supervisor.add(sleeper)
    await eventually(lambda: keeper.state.restarts >= 3)
    await eventually(lambda: keeper.state.state == "backoff")
    assert "exit code 3" in keeper.state.message
    assert "broken.log" in keeper.state.message


async def test_what_had_served_for_a_while_is_not_made_to_wait(house, Sleeper, eventually, monkeypatch):
    monkeypatch.setattr(unit, "BACKOFF_SECONDS", (0.05, 600.0))
    monkeypatch.setattr(unit, "STABLE_SECONDS", 0.2)
    keeper = house.supervisor().add(Sleeper("one"))
    for restarts in range(3):
        await eventually(keeper.ready.is_set)
        assert keeper.state.restarts == restarts
        await asyncio.sleep(0.5)
        os.kill(keeper.process.pid, signal.SIGKILL)
        await eventually(lambda: not keeper.ready.is_set())
    await eventually(keeper.ready.is_set)


async def test_what_answers_while_it_starts_is_given_time_and_what_does_not_is_started_again(
    house, Sleeper, eventually, monkeypatch
):
    async def refused():
        raise ConnectionRefusedError

    busy, silent = Sleeper("busy"), Sleeper("silent")
    busy.start_seconds = silent.start_seconds = 0.2
    busy.answer = "replays what it had begun"
    monkeypatch.setattr(silent, "probe", refused)
    keepers = [house.supervisor().add(sleeper) for sleeper in (busy, silent)]
    await eventually(lambda: keepers[1].state.restarts >= 2)
    assert keepers[0].state.restarts == 0
    busy.answer = None
    await eventually(keepers[0].ready.is_set)
    assert keepers[0].state.restarts == 0


async def test_what_stops_answering_is_started_again(house, Sleeper, eventually, monkeypatch):
    monkeypatch.setattr(unit, "UNREADY_SECONDS", 2.0)
    sleeper = Sleeper("one")
    keeper = house.supervisor().add(sleeper)
    await eventually(keeper.ready.is_set)
    pid = keeper.process.pid
    sleeper.answer = "hangs"
    await eventually(lambda: keeper.state.state == "degraded")
    await eventually(lambda: keeper.process.pid != pid)
    sleeper.answer = None
    await eventually(keeper.ready.is_set)


async def test_what_is_frozen_is_started_again(house, Sleeper, eventually, monkeypatch):
    monkeypatch.setattr(unit, "_PROBE_READY", 0.1)
    monkeypatch.setattr(unit, "_PROBE_SECONDS", 0.1)
    monkeypatch.setattr(unit, "UNANSWERED_SECONDS", 0.5)

    class Asked(Sleeper):
        async def probe(self) -> str | None:
            while identity.Identity.of(keeper.process.pid).process().status() == "stopped":
                await asyncio.sleep(0.05)
            return None

    keeper = house.supervisor().add(Asked("one"))
    await eventually(keeper.ready.is_set)
    first = keeper.process.pid
    os.kill(first, signal.SIGSTOP)
    await eventually(lambda: keeper.process.pid != first and keeper.ready.is_set())


async def test_what_only_waits_for_others_is_left_running(house, Sleeper, eventually, monkeypatch):
    monkeypatch.setattr(unit, "_PROBE_READY", 0.05)
    monkeypatch.setattr(unit, "UNANSWERED_SECONDS", 0.2)
    sleeper = Sleeper("one")
    keeper = house.supervisor().add(sleeper)
    await eventually(keeper.ready.is_set)
    first, sleeper.answer = keeper.process.pid, "waits for the database"
    await eventually(lambda: keeper.state.state == "degraded")
    await asyncio.sleep(0.6)
    assert (keeper.process.pid, keeper.state.restarts) == (first, 0)
    sleeper.answer = None
    await eventually(lambda: keeper.state.state == "ready")


async def test_a_component_can_be_held_and_let_go(house, Sleeper, eventually):
    supervisor = house.supervisor()
    keeper = supervisor.add(Sleeper("one"))
    await eventually(keeper.ready.is_set)
    first = keeper.process
    supervisor.unit("one").hold()
    await eventually(lambda: keeper.state.state == unit.HELD)
    assert not first.alive()
    assert "voicehelper start one" in keeper.state.message
    await asyncio.sleep(0.5)
    assert keeper.process is None
    supervisor.unit("one").let_go()
    await eventually(keeper.ready.is_set)
    assert keeper.process.alive()
    with pytest.raises(NotFound, match="there are: one"):
        supervisor.unit("two")


async def test_a_change_of_configuration_restarts_and_none_does_not(house, Sleeper, eventually):
    sleeper = Sleeper("one")
    keeper = house.supervisor().add(sleeper)
    await eventually(keeper.ready.is_set)
    pid = keeper.process.pid
    keeper.refresh()
    await eventually(lambda: sleeper.set_up == 2)
    assert keeper.process.pid == pid
    sleeper.config = "other"
    keeper.refresh()
    await eventually(lambda: sleeper.set_up == 3)
    assert keeper.process.pid != pid
    assert keeper.state.restarts == 0


async def test_removing_stops_and_forgets(house, Sleeper, eventually):
    supervisor = house.supervisor()
    keeper = supervisor.add(Sleeper("one"))
    await eventually(keeper.ready.is_set)
    await supervisor.remove("one")
    await supervisor.remove("one")
    assert supervisor.units == {}
    assert list(ProcessTable(house.folder)) == []
    assert list(identity.marked(house.folder)) == []


async def test_what_ignores_the_signal_is_killed_with_its_children(house, eventually):
    code = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); print('up', flush=True);"
        "time.sleep(600)"
    )
    log = house.logs / "stubborn.log"
    launch = Launch([sys.executable, "-c", code], {"PATH": os.environ["PATH"]}, stop_seconds=0.2)
    process = start(launch, log, f"{house.folder}:stubborn")
    await eventually(lambda: log.read_text() == "up\n")
    (child,) = process.identity.process().children()
    await process.stop()
    assert not process.alive()
    await eventually(lambda: not child.is_running() or child.status() == "zombie")


async def test_waiting_for_the_end(house):
    launch = Launch([sys.executable, "-c", "import time; time.sleep(600)"], {})
    process = start(launch, house.logs / "x.log", f"{house.folder}:x")
    assert not await process.ended(0.05)
    begun = time.monotonic()
    await process.stop()
    assert await process.ended()
    assert process.ending() == "it was ended by SIGTERM"
    assert time.monotonic() >= begun
    assert identity.wait([process.identity], 5) == []


def test_an_identity_is_one_process_of_one_boot():
    me = Identity.of(os.getpid())
    assert me.alive()
    assert me.process() is not None
    assert not Identity(os.getpid(), me.created + "1").alive()
    assert not Identity(os.getpid(), "another-boot:" + me.created.split(":")[1]).alive()
    assert Identity(2**22 + 5, "x:1").process() is None


def test_back_off_grows_and_stays_bounded(monkeypatch):
    monkeypatch.undo()
    pauses = [unit.backoff(failures) for failures in range(12)]
    assert pauses == sorted(pauses)
    assert pauses[0] == pauses[1] == unit.BACKOFF_SECONDS[0]
    assert pauses[-1] == unit.BACKOFF_SECONDS[-1]


def test_the_table_survives_a_torn_file(house):
    table = ProcessTable(house.folder)
    table.put("a", Known(Identity(1, "b:2"), "d", signal.SIGINT, 4))
    table.put("b", Known(Identity(2, "b:3"), "d"))
    table.put("a", Known(Identity(3, "b:4"), "d", signal.SIGINT, 5))
    again = ProcessTable(house.folder)
    assert [name for name, _ in again] == ["b", "a"]
    assert again.get("a") == Known(Identity(3, "b:4"), "d", signal.SIGINT, 5)
    (house.folder / "state" / "processes.json").write_text('{"a": {"pid"')
    assert list(ProcessTable(house.folder)) == []


def test_processes_inherit_nothing(house, tmp_path):
    leaked = os.open(tmp_path / "secret", os.O_RDWR | os.O_CREAT)
    os.set_inheritable(leaked, True)
    code = "import os; print(sorted(os.listdir('/proc/self/fd'), key=int)[:4], os.getsid(0) == os.getpid())"
    log = house.logs / "fds.log"
    process = start(Launch([sys.executable, "-c", code], {}), log, f"{house.folder}:fds")
    identity.wait([process.identity], 20)
    os.close(leaked)
    assert log.read_text().strip() == "['0', '1', '2', '3'] True"  # 3 is the listing itself
    assert not process.alive()


def test_a_process_that_was_never_ours_is_left_alone():
    assert Process(Identity(2**22 + 7, "x:1"), Launch([], {})).rss() == 0


async def test_a_supervisor_that_gets_no_time_blames_nobody():
    clock = AwakeClock()
    task = asyncio.create_task(clock.run())
    await asyncio.sleep(0.05)
    began, before = time.monotonic(), clock.now()
    time.sleep(1.5)  # the loop stands still, as on a starved machine
    await asyncio.sleep(0.01)
    await asyncio.sleep(0.01)
    elapsed, counted = time.monotonic() - began, clock.now() - before
    task.cancel()
    assert elapsed - counted > 1.0
