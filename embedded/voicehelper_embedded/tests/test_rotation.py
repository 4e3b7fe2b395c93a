"""A cell's passwords are rotated while clients work: nobody is refused but whoever has the old ones."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import asyncpg
import pytest
from confluent_kafka import KafkaException
from confluent_kafka import admin as kafka
from voicehelper_core import cell_bundle, names
from voicehelper_embedded.context import DATABASE, HOST
from voicehelper_embedded.supervisor.unit import STABLE_SECONDS
from voicehelper_embedded.tests import archived_tenant as world
from voicehelper_embedded.tests.clients import clients
from voicehelper_embedded.tests.crash_points import parameters, points
from voicehelper_embedded.throwaway import Platform

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
POINTS = [*points("rotation"), "operator.postgres.effect", "operator.kafka.effect"]
ALWAYS = ("operator.rotation.switch.before", "operator.rotation.close.recorded")
NAME = "rotating"
ANNOTATION = "voicehelper.io/rotate-credentials"


@pytest.fixture(scope="module")
def cell_id(platform: Platform) -> Any:
    with world.removed_at_the_end(platform, NAME):
        made = world.made(platform, NAME, "enterprise", policy="Delete")
        yield made["status"]["cellId"]


def bundle(platform: Platform, cell_id: str) -> dict[str, str]:
    path = platform.home / "secrets" / f"{names.cell_secret(cell_id)}.json"
    found: dict[str, str] = json.loads(path.read_text())
    return found


def rotate(platform: Platform, asked: str) -> None:
    cell = platform.resource("cell", NAME)
    manifest = {key: cell[key] for key in ("apiVersion", "kind", "spec")}
    manifest["metadata"] = {"name": NAME, "annotations": {ANNOTATION: asked}}
    platform.cli("apply", "-f", "-", stdin=json.dumps(manifest))


def credentials(platform: Platform) -> dict[str, Any]:
    found: dict[str, Any] = platform.resource("cell", NAME)["status"]["credentials"]
    return found


def is_rotated(platform: Platform, before: dict[str, Any]) -> bool:
    now = credentials(platform)
    return now["account"] != before["account"] and not now.get("rotation")


async def postgres(platform: Platform, user: str, password: str) -> None:
    connection = await asyncpg.connect(
        host=HOST, port=platform.ports["postgres"], database=DATABASE, user=user, password=password, timeout=10
    )
    await connection.close()


def broker(platform: Platform, user: str, password: str) -> set[str]:
    login = {"sasl.mechanisms": "SCRAM-SHA-256", "sasl.username": user, "sasl.password": password}
    settings = {**platform.kafka_admin, **login}
    return set(kafka.AdminClient(settings).list_topics(timeout=8).topics)


async def until_rotated(platform: Platform, before: dict[str, Any], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not await asyncio.to_thread(is_rotated, platform, before):
        assert time.monotonic() < end, await asyncio.to_thread(credentials, platform)
        await asyncio.sleep(0.5)


async def is_open(platform: Platform, cell_id: str, kept: dict[str, str]) -> None:
    """Exactly the current account of the bundle is."""
    account = cell_bundle.current(kept)
    for name in names.ACCOUNTS:
        login, user = names.login_role(cell_id, name), names.kafka_user(cell_id, name)
        if name == account:
            await postgres(platform, login, cell_bundle.password(kept, cell_bundle.POSTGRES))
            topics = await asyncio.to_thread(broker, platform, user, cell_bundle.password(kept, cell_bundle.KAFKA))
            assert names.topic(cell_id, "ai.tasks") in topics
    closed = names.login_role(cell_id, cell_bundle.other(account))
    connection = await asyncpg.connect(platform.postgres_dsn)
    try:
        query = "SELECT rolcanlogin FROM pg_roles WHERE rolname = $1"
        assert not await connection.fetchval(query, closed)
        assert not await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE usename = $1", closed)
    finally:
        await connection.close()
    client = kafka.AdminClient(platform.kafka_admin)
    found = await asyncio.to_thread(lambda: client.describe_user_scram_credentials().result(20))
    assert {name for name in found if name.startswith(cell_id)} == {names.kafka_user(cell_id, account)}


async def test_no_request_fails_and_the_old_passwords_are_worth_nothing(platform: Platform, cell_id: str) -> None:
    for number in range(2):
        old, before = bundle(platform, cell_id), credentials(platform)
        await is_open(platform, cell_id, old)
        async with clients(platform, NAME) as working:
            await asyncio.to_thread(rotate, platform, f"now-{number}-{time.time()}")
            await until_rotated(platform, before)
            done = working.done
            await asyncio.sleep(3)
            assert working.done > done
        print(f"{working.done} requests, the slowest took {working.slowest:.1f} s")
        account = cell_bundle.current(old)
        with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)):
            login = names.login_role(cell_id, account)
            await postgres(platform, login, cell_bundle.password(old, cell_bundle.POSTGRES))
        with pytest.raises(KafkaException):
            await asyncio.to_thread(
                broker, platform, names.kafka_user(cell_id, account), cell_bundle.password(old, cell_bundle.KAFKA)
            )
        now = bundle(platform, cell_id)
        await is_open(platform, cell_id, now)
        secrets = {value for key, value in old.items() if "password" in key and key != cell_bundle.MIGRATOR}
        assert not secrets & set(now.values())
        assert "CredentialsRotated" in platform.cli("describe", "cell", NAME).stdout
        assert "DriftRepaired" not in platform.cli("describe", "cell", NAME).stdout


@pytest.mark.parametrize("point", parameters(POINTS, always=ALWAYS))
async def test_whenever_the_control_plane_dies_the_rotation_ends(platform: Platform, cell_id: str, point: str) -> None:
    before = credentials(platform)
    world.arm(platform, point)
    rotate(platform, f"{point}-{time.time()}")
    world.until(lambda: world.struck(platform, point))
    await until_rotated(platform, before)
    await is_open(platform, cell_id, bundle(platform, cell_id))
    with platform.client(NAME) as client:
        document = {"title": point, "content": f"The heron of {point} wades.", "external_id": point}
        made = client.post("/api/v1/knowledge/documents", json=document)
        assert made.status_code == 202, made.text
        path = f"/api/v1/knowledge/documents/{made.json()['id']}"
        world.until(lambda: client.get(path).json()["status"] == "indexed")
    await asyncio.sleep(STABLE_SECONDS + 1)  # the supervisor lets those wait that die again earlier
