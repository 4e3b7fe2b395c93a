"""A release and the one before it work on the same schemas: one after the other, back again, and both at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from voicehelper_embedded.tests import archived_tenant as world
from voicehelper_embedded.tests import newer_release
from voicehelper_embedded.tests.rendered import processes, rendered
from voicehelper_embedded.tests.test_release import TENANTS, begin, ended, follows, running, working  # noqa: F401
from voicehelper_embedded.throwaway import Platform

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
NEWER = newer_release.RELEASE
CONVERSATIONS, DOCUMENTS = "/api/v1/conversations", "/api/v1/knowledge/documents"


@dataclass(frozen=True)
class Newer:
    """What is upgraded: the release before, the revisions after, the id of each tenant's cell."""

    before: str
    revisions: dict[str, str]
    cells: dict[str, str]


@pytest.fixture(scope="module")
def newer(platform: Platform, follows: str) -> Iterator[Newer]:  # noqa: F811
    cells = {tenant: platform.resource("tenant", tenant)["status"]["cellId"] for tenant in TENANTS}
    yield Newer(follows, newer_release.install_newer(platform, follows), cells)
    asyncio.run(newer_release.forget(platform, [*cells.values()]))


def wrote(platform: Platform, tenant: str, title: str) -> tuple[dict[str, Any], list[Any], dict[str, Any]]:
    """A conversation with an answer, and a document that was indexed, made through the router."""
    with platform.client(tenant) as client:
        document = client.post(DOCUMENTS, json={"title": title, "external_id": title, "content": world.PASSAGE})
        assert document.status_code == 202, document.text
        place = f"{DOCUMENTS}/{document.json()['id']}"
        world.until(lambda: client.get(place).json()["status"] == "indexed")
        made = client.post(CONVERSATIONS, json={"title": title})
        assert made.status_code == 201, made.text
        path = f"{CONVERSATIONS}/{made.json()['id']}/messages"
        answer = client.post(path, json={"content": "What does the heron wait for?"})
        assert answer.status_code == 200 and "silver fish" in answer.text, answer.text
        return made.json(), client.get(path).json()["items"], client.get(place).json()


def is_read(
    platform: Platform, tenant: str, title: str, made: tuple[dict[str, Any], list[Any], dict[str, Any]]
) -> None:
    """What was made is there, whoever made it; the conversation has the title that the code which runs gives it."""
    conversation, messages, document = made
    with platform.client(tenant) as client:
        path = f"{CONVERSATIONS}/{conversation['id']}"
        found = client.get(path).json()
        assert found["title"] == title
        assert {**found, "title": "", "updated_at": ""} == {**conversation, "title": "", "updated_at": ""}
        assert client.get(f"{path}/messages").json()["items"] == messages
        assert client.get(f"{DOCUMENTS}/{document['id']}").json() == document


async def brought(platform: Platform, name: str) -> None:
    begin(platform, name, NEWER)
    status = await ended(platform, name)
    assert status["phase"] == "Complete", status
    assert set(running(platform).values()) == {NEWER}


async def taken_back(platform: Platform, name: str, before: str) -> None:
    platform.cli("release", "rollback", name, "--reason", "as it was")
    await asyncio.sleep(2)
    status = await ended(platform, name)
    assert status["phase"] == "RolledBack", status
    assert set(running(platform).values()) == {before}


async def test_what_the_new_release_wrote_is_read_by_the_old_which_goes_on(platform: Platform, newer: Newer) -> None:
    told = {tenant: rendered(platform, cell_id) for tenant, cell_id in newer.cells.items()}
    made = {"old": await asyncio.to_thread(wrote, platform, "globex", "old")}

    async def there_and_back() -> None:
        await brought(platform, "expanding")
        made["new"] = await asyncio.to_thread(wrote, platform, "globex", "new")
        await asyncio.to_thread(is_read, platform, "globex", "old", made["old"])
        assert made["new"][0]["title"] == "new (newer)"
        await taken_back(platform, "expanding", newer.before)

    await working(platform, there_and_back)
    assert {tenant: rendered(platform, cell_id) for tenant, cell_id in newer.cells.items()} == told
    conversations, documents = await newer_release.written(platform, newer.cells["globex"])
    assert conversations and documents == 1
    for name in running(platform):
        status = platform.resource("cell", name)["status"]
        assert status["schemasAhead"] == [f"{service}={revision}" for service, revision in newer.revisions.items()]
        assert "Ahead" in [item["reason"] for item in status["conditions"] if item["type"] == "Migrated"]

    is_read(platform, "globex", "old", made["old"])
    is_read(platform, "globex", "new", made["new"])
    made["old again"] = wrote(platform, "globex", "old again")
    assert await newer_release.written(platform, newer.cells["globex"]) == (conversations, documents)

    await working(platform, lambda: brought(platform, "expanding-again"))
    for title, one in made.items():
        is_read(platform, "globex", "new (newer)" if title == "new" else title, one)
    assert all(not platform.resource("cell", name)["status"]["schemasAhead"] for name in running(platform))
    await taken_back(platform, "expanding-again", newer.before)


async def test_both_work_on_one_schema_at_once(platform: Platform, newer: Newer) -> None:
    """What was replaced stays while somebody is connected to it: here a client of its own, which goes on writing."""
    cell_id, headers = newer.cells["globex"], platform.headers("globex")
    old = f"http://127.0.0.1:{processes(platform, cell_id)['serving']['http']}"

    async def made(client: httpx.AsyncClient, title: str) -> str:
        answer = await client.post(CONVERSATIONS, json={"title": title})
        assert answer.status_code == 201, answer.text
        asked = await client.post(f"{CONVERSATIONS}/{answer.json()['id']}/messages", json={"content": "Which store?"})
        assert asked.status_code == 200, asked.text
        return str(answer.json()["id"])

    async def title(client: httpx.AsyncClient, identifier: str) -> str:
        return str((await client.get(f"{CONVERSATIONS}/{identifier}")).json()["title"])

    async def tried() -> dict[str, Any]:
        begin(platform, "at-once", NEWER)
        async with (
            httpx.AsyncClient(base_url=old, headers=headers, timeout=60, trust_env=False) as before,
            httpx.AsyncClient(base_url=platform.router, headers=headers, timeout=60, trust_env=False) as after,
        ):
            while (await before.get(CONVERSATIONS)).status_code == 200 and "leaving" not in processes(
                platform, cell_id
            ):
                await asyncio.sleep(0.3)
            found = {role: item["workload"]["release"] for role, item in processes(platform, cell_id).items()}
            assert found == {"serving": NEWER, "leaving": newer.before}
            while "(newer)" not in await title(after, await made(after, "until the router knows")):
                assert (await before.get(CONVERSATIONS)).status_code == 200
            for number in range(10):
                by_old, by_new = await asyncio.gather(made(before, f"{number}"), made(after, f"{number}"))
                assert [await title(client, by_old) for client in (before, after)] == [f"{number}"] * 2
                assert [await title(client, by_new) for client in (before, after)] == [f"{number}", f"{number} (newer)"]
            assert set(processes(platform, cell_id)) == {"serving", "leaving"}
        return await ended(platform, "at-once")

    assert (await working(platform, tried))["phase"] == "Complete"
    await taken_back(platform, "at-once", newer.before)
