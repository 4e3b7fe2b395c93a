"""The rules follow the API server, also where it goes away or forgets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from voicehelper_cli.failures import Failure
from voicehelper_e2e.network_policies import enforcer as module
from voicehelper_e2e.network_policies import mirror as mirrors
from voicehelper_e2e.network_policies.enforcer import Enforcer
from voicehelper_e2e.network_policies.mirror import Mirror


class Server:
    """One kind of an API server: lists what it has, and sends what happens to whoever watches."""

    def __init__(self, **items: dict[str, Any]) -> None:
        self.items = {name: self._whole(name, item) for name, item in items.items()}
        self.lists, self.watches, self.away = 0, 0, False
        self.events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    @staticmethod
    def _whole(name: str, item: dict[str, Any]) -> dict[str, Any]:
        return {"metadata": {"namespace": "a", "name": name, "uid": name}, **item}

    async def __call__(self, watch: bool = False, **_: Any) -> Answer:
        self.lists, self.watches = self.lists + (not watch), self.watches + watch
        return Answer(self, watch)

    def put(self, name: str, **item: Any) -> None:
        kind = "MODIFIED" if name in self.items else "ADDED"
        self.items[name] = self._whole(name, item)
        self.events.put_nowait({"type": kind, "object": self.items[name]})

    def remove(self, name: str) -> None:
        self.events.put_nowait({"type": "DELETED", "object": self.items.pop(name)})

    def end(self, code: int = 0) -> None:
        """The watch ends: with its time, or with an error."""
        self.events.put_nowait({"type": "ERROR", "object": {"code": code, "message": "gone"}} if code else None)


class Answer:
    """As aiohttp has it."""

    def __init__(self, server: Server, watch: bool) -> None:
        self.server, self.watch = server, watch

    def raise_for_status(self) -> None:
        if self.server.away:
            raise OSError("503")

    async def json(self) -> Any:
        return {"metadata": {"resourceVersion": "1"}, "items": list(self.server.items.values())}

    def release(self) -> None:
        pass

    @property
    async def content(self) -> AsyncIterator[bytes]:
        while (event := await self.server.events.get()) is not None:
            yield json.dumps(event).encode() + b"\n"


def pod(address: str) -> dict[str, Any]:
    return {"spec": {"containers": []}, "status": {"phase": "Running", "podIPs": [{"ip": address}]}}


class World:
    """An enforcer that runs, and what it wrote."""

    def __init__(self) -> None:
        self.pods, self.namespaces, self.policies = Server(one=pod("10.244.0.5")), Server(), Server()
        self.written: list[str] = []
        self.said: list[str] = []
        self.full = False

    def apply(self, text: str) -> None:
        if self.full:
            raise Failure("no room")
        self.written.append(text)

    @contextmanager
    def running(self) -> Iterator[None]:
        enforcer = Enforcer(self.apply, self.said.append, "10.244.0.0/24", "cni0")
        three = [
            Mirror(server, enforcer.change, lambda error: self.said.append(repr(error)))
            for server in (self.pods, self.namespaces, self.policies)
        ]
        task = asyncio.ensure_future(enforcer.run(*three))
        try:
            yield
        finally:
            task.cancel()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not holds():
                await asyncio.sleep(0.005)

    def knows(self, address: str) -> bool:
        return bool(self.written) and f"{address}," in self.written[-1].replace(" }", ",")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(mirrors, "_PAUSE_SECONDS", 0.01)
    return World()


async def test_rules_follow_what_changes(world: World) -> None:
    with world.running():
        await world.until(lambda: world.knows("10.244.0.5"))
        world.pods.put("two", **pod("10.244.0.6"))
        await world.until(lambda: world.knows("10.244.0.6"))
        world.policies.put("deny", spec={"podSelector": {}})
        await world.until(lambda: "10.244.0.6 : jump ingress-1" in world.written[-1])
        world.policies.remove("deny")
        world.pods.remove("one")
        await world.until(lambda: "jump" not in world.written[-1] and not world.knows("10.244.0.5"))
    assert world.pods.lists == world.pods.watches == 1


async def test_nothing_is_written_before_all_is_known(world: World) -> None:
    world.policies.away = True
    with world.running():
        await world.until(lambda: world.pods.watches == 1)
        await asyncio.sleep(0.1)
        assert world.written == []
        world.policies.away = False
        await world.until(lambda: world.knows("10.244.0.5"))
    assert any("503" in line for line in world.said)


async def test_what_happens_at_once_is_written_once(world: World) -> None:
    with world.running():
        await world.until(lambda: bool(world.written))
        for number in range(10, 60):
            world.pods.put(f"p{number}", **pod(f"10.244.0.{number}"))
        await world.until(lambda: world.knows("10.244.0.59"))
        assert len(world.written) == 2
        world.pods.put("p59", **pod("10.244.0.59"))  # nothing that the rules are made of
        await asyncio.sleep(0.1)
        assert len(world.written) == 2


@pytest.mark.parametrize("how", [0, 410, 500])
async def test_after_a_watch_comes_a_new_list(world: World, how: int) -> None:
    """So what happened in between is known: one that came, and one that went."""
    with world.running():
        await world.until(lambda: world.knows("10.244.0.5") and world.pods.watches == 1)
        del world.pods.items["one"]
        world.pods.items["two"] = {"metadata": {"namespace": "a", "name": "two", "uid": "two"}, **pod("10.244.0.6")}
        world.pods.end(how)
        await world.until(lambda: world.knows("10.244.0.6") and not world.knows("10.244.0.5"))
    assert world.pods.lists == world.pods.watches == 2
    assert any("gone" in line for line in world.said) is (how == 500)


async def test_one_of_the_same_name_is_not_taken_for_the_one_that_goes(world: World) -> None:
    with world.running():
        await world.until(lambda: world.knows("10.244.0.5"))
        old = world.pods.items["one"]
        new = {"metadata": {"namespace": "a", "name": "one", "uid": "new"}, **pod("10.244.0.6")}
        for kind, item in (("ADDED", new), ("DELETED", old)):
            world.pods.events.put_nowait({"type": kind, "object": item})
        await world.until(lambda: world.knows("10.244.0.6") and not world.knows("10.244.0.5"))


async def test_what_was_not_taken_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what someone removed is written again after a while."""
    monkeypatch.setattr(module, "_AGAIN_SECONDS", 0.05)
    world.full = True
    with world.running():
        await world.until(lambda: any("no room" in line for line in world.said))
        world.full = False
        await world.until(lambda: len(world.written) > 3)
    assert len(set(world.written)) == 1


async def test_a_policy_that_cannot_be_read_leaves_the_rules(world: World) -> None:
    with world.running():
        await world.until(lambda: bool(world.written))
        world.policies.put("broken", spec={"podSelector": {"matchExpressions": [{"key": "a", "operator": "Like"}]}})
        await world.until(lambda: any("Like" in line for line in world.said))
        assert len(world.written) == 1
        world.policies.remove("broken")
        world.pods.put("two", **pod("10.244.0.6"))
        await world.until(lambda: world.knows("10.244.0.6"))
