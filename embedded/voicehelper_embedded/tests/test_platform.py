"""The running platform: again, after kills, from outside."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from confluent_kafka import admin as kafka
from voicehelper_embedded.components.kafka import SNAPSHOT_SECONDS

_SCRAM = kafka.ScramMechanism.SCRAM_SHA_256
pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def members(watched):
    """Every process of the platform with its descendants."""
    for name, pid in watched.pids().items():
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            yield name, member


def secrets_of(home: Path) -> set[str]:
    found = set()
    for path in (home / "secrets").glob("*.json"):
        for name, value in json.loads(path.read_text()).items():
            if ("password" in name or "key" in name or "dsn" in name) and isinstance(value, str) and len(value) >= 16:
                found.add(value)
    return found


def test_up_again_doubles_nothing(watched):
    before, resources = watched.pids(), watched.platform.cli("get", "tenants", "-o", "json").stdout
    watched.platform.cli("up", "--no-demo", timeout=420)
    assert watched.pids() == before
    names = [item["metadata"]["name"] for item in json.loads(resources)["items"]]
    again = json.loads(watched.platform.cli("get", "tenants", "-o", "json").stdout)["items"]
    assert [item["metadata"]["name"] for item in again] == names


@pytest.mark.parametrize("name", ["xds", "router", "inference", "control-plane", "milvus", "kafka", "connect"])
def test_a_killed_component_comes_back(watched, name):
    pid = watched.kill(name)
    watched.until_replaced(name, pid)
    watched.until_running()
    with watched.platform.client("acme") as acme:
        assert acme.get("/api/v1/conversations").status_code == 200


def test_kafka_keeps_its_users_when_many_were_removed(watched):
    """Kafka loses all users when it replays a removal first (ADR 16): with so many, each start would."""
    client, info = kafka.AdminClient(watched.platform.kafka_admin), kafka.ScramCredentialInfo(_SCRAM, 4096)
    cells = {watched.platform.resource("tenant", name)["status"]["cellId"] for name in ("acme", "globex")}
    data = watched.platform.home / "data" / "kafka" / "log" / "__cluster_metadata-0"
    end = time.monotonic() + 3 * SNAPSHOT_SECONDS
    while not any(not path.name.startswith("0" * 20) for path in data.glob("*.checkpoint")):
        assert time.monotonic() < end, "Kafka takes no snapshot"
        time.sleep(0.5)
    removed = [hashlib.sha256(str(number).encode()).hexdigest()[:12] for number in range(200)]
    for changes in (
        [kafka.UserScramCredentialUpsertion(user, info, b"not used") for user in removed],
        [kafka.UserScramCredentialDeletion(user, _SCRAM) for user in removed],
    ):
        for future in client.alter_user_scram_credentials(changes).values():
            future.result(30)
    pid = watched.kill("kafka")
    watched.until_replaced("kafka", pid)
    client = kafka.AdminClient(watched.platform.kafka_admin)
    assert cells | {"admin", "analytics", "connect"} <= set(client.describe_user_scram_credentials().result(20))
    watched.until_running()


def test_the_next_up_adopts_what_a_killed_supervisor_left(watched):
    status = watched.status()
    before = watched.pids()
    psutil.Process(status["supervisor"]["pid"]).kill()
    orphaned = watched.until(lambda now: now["state"] == "degraded", "the end of the supervisor")
    assert {item["name"]: item["pid"] for item in orphaned["components"]} == before
    watched.platform.cli("up", "--no-demo", timeout=420)
    assert watched.pids() == before
    assert watched.status()["supervisor"]["pid"] != status["supervisor"]["pid"]


def test_two_ups_at_once(watched):
    before = watched.pids()
    command = [os.sys.executable, "-m", "voicehelper_cli", "up", "--no-demo"]
    running = [
        subprocess.Popen(command, env=watched.platform.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(2)
    ]
    for one in running:
        output, _ = one.communicate(timeout=420)
        assert one.returncode == 0, output.decode()
    assert watched.pids() == before


def test_everything_listens_on_loopback(watched):
    addresses = set()
    for _, member in members(watched):
        for connection in member.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                addresses.add(connection.laddr.ip)
    assert addresses
    assert addresses <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_no_secret_in_arguments_environments_or_logs(watched):
    secrets = secrets_of(watched.platform.home)
    assert len(secrets) > 5
    for name, member in members(watched):
        shown = "\0".join([*member.cmdline(), *member.environ().values()])
        assert not [secret for secret in secrets if secret in shown], name
    for path in (watched.platform.home / "logs").iterdir():
        text = path.read_text(errors="replace")
        assert not [secret for secret in secrets if secret in text], path


def test_files_with_secrets_are_private(watched):
    home = watched.platform.home
    secrets = secrets_of(home)
    for folder in (home / "run", home / "secrets", home / "state"):
        for path in folder.rglob("*"):
            if path.is_file() and any(secret in path.read_text(errors="replace") for secret in secrets):
                assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_logs_and_doctor(watched):
    assert watched.platform.cli("logs", "kafka", "-n", "1").returncode == 0
    refused = watched.platform.cli("logs", "nothing", check=False)
    assert refused.returncode != 0
    assert "kafka" in refused.stderr
    assert "Nothing is missing" in watched.platform.cli("doctor").stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="users are kept apart where root runs the platform")
class TestUsers:
    """Who may do what on the machine."""

    def test_nothing_but_the_supervisor_runs_as_root(self, watched):
        assert {member.uids().real for _, member in members(watched)} & {0} == set()

    def test_each_cell_runs_as_a_user_of_its_own(self, watched):
        users = {name: psutil.Process(pid).username() for name, pid in watched.pids().items()}
        cells = {name: user for name, user in users.items() if name.startswith("cell-")}
        assert len(cells) >= 2
        assert len(set(cells.values())) == len(cells)
        assert not set(cells.values()) & {user for name, user in users.items() if name not in cells}

    def test_a_cell_cannot_enter_what_is_not_its_own(self, watched):
        home = watched.platform.home
        cells = sorted(name.removeprefix("cell-") for name in watched.pids() if name.startswith("cell-"))
        one, other = cells[:2]
        private = [
            home / "run" / "cells" / other / "serve.json",
            home / "data" / "objects" / other,
            home / "secrets" / "platform.json",
            home / "run" / "control-plane.json",
            home / "run" / "kafka.properties",
            home / "data" / "postgres",
            home / "data" / "milvus",
            home / "state" / "cells.json",
            home / "logs" / "control-plane.log",
        ]
        for path in private:
            assert path.exists(), path
            assert not self._reads(f"vh-{one}", path), path
        assert self._reads(f"vh-{one}", home / "run" / "cells" / one / "serve.json")
        assert self._reads(f"vh-{one}", home / "data" / "objects" / one)

    @staticmethod
    def _reads(user: str, path: Path) -> bool:
        command = ["ls" if path.is_dir() else "cat", str(path)]
        done = subprocess.run(
            command, user=user, group=user, extra_groups=[], cwd="/", capture_output=True, check=False
        )
        return done.returncode == 0
