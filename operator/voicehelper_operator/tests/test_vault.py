"""What a cell has in Vault, and the settings that choose it. Against a stand-in: there is no Vault here."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time

import httpx
import pytest
from pydantic import ValidationError
from voicehelper_core.errors import InvalidArgument
from voicehelper_core.tests.vault_server import VaultServer as StandIn

from voicehelper_operator import vault_store
from voicehelper_operator.settings import ClusterOperatorSettings
from voicehelper_operator.slices.credentials import CellCredentials
from voicehelper_operator.slices.interface import CellRef

CELL, TENANT = CellRef("cabcdefghij1"), "tabcdefghij1"
WORKLOAD = f"cells/{CELL.cell_id}/workload"


@pytest.fixture
def server():
    server = StandIn()
    yield server
    server.stop()


@pytest.fixture
def settings(server, tmp_path):
    token = tmp_path / "token"
    token.write_text("voicehelper-prod/operator")
    return ClusterOperatorSettings(secrets="vault", vault_address=f"{server.address}/", vault_token_file=token)


@pytest.fixture
async def vault(settings):
    vault = await vault_store.opened(settings, asyncio.Event())
    yield vault
    await vault.close()


@pytest.fixture
def slice_(vault):
    (found,) = vault.slices(CellCredentials(vault.secrets))
    return found


async def test_a_cell_may_read_its_passwords_but_that_of_migrations(slice_, server):
    made = await slice_.ensure(CELL)
    name = f"cell-{CELL.cell_id}"
    assert made == [f"secret {WORKLOAD}", f"policy {name}", f"role {name}"]
    whole, readable = (server.secrets[path].versions[-1] for path in (f"cells/{CELL.cell_id}", WORKLOAD))
    assert "migrator_password" in whole
    passwords = ("postgres_password", "kafka_password", "objects_secret_key")
    assert readable == {"account": "a", **{key: whole[key] for key in passwords}}
    assert server.roles[name]["bound_service_account_namespaces"] == [name]
    assert server.roles[name]["bound_service_account_names"] == ["voicehelper-cell"]


async def test_a_cell_reads_the_passwords_of_its_current_account_by_the_same_names(slice_, server):
    await slice_.ensure(CELL)
    credentials = slice_._credentials
    for step, account in ((credentials.begin, "a"), (credentials.switch, "b")):
        await step(CELL.cell_id, *(["now"] if step == credentials.begin else []))
        await slice_.ensure(CELL)
        whole, readable = (server.secrets[path].versions[-1] for path in (f"cells/{CELL.cell_id}", WORKLOAD))
        suffix = "_b" if account == "b" else ""
        assert readable == {
            "account": account,
            **{key: whole[f"{key}{suffix}"] for key in readable if key != "account"},
        }
        assert len(readable) == 4


async def test_a_second_look_writes_nothing_and_drift_is_repaired(slice_, server):
    await slice_.ensure(CELL)
    before = len(server.requests)
    assert (await slice_.ensure(CELL), await slice_.observe(CELL)) == ([], [])
    assert {request.method for request in server.requests[before:]} == {"GET"}
    del server.policies[f"cell-{CELL.cell_id}"]
    server.secrets[WORKLOAD].versions.append({"postgres_password": "somebody's"})
    assert await slice_.observe(CELL) == [f"policy cell-{CELL.cell_id}", f"secret {WORKLOAD}"]
    assert await slice_.ensure(CELL) == [f"secret {WORKLOAD}", f"policy cell-{CELL.cell_id}"]
    assert await slice_.observe(CELL) == []


async def test_an_expanded_cell_has_a_password_a_service(slice_, server):
    await slice_.ensure(CellRef(CELL.cell_id, topology="expanded"))
    assert "postgres_password_web" in server.secrets[WORKLOAD].versions[-1]


async def test_an_archive_keeps_the_secrets_and_a_removal_does_not(slice_, server):
    await slice_.ensure(CELL)
    for _ in range(2):
        await slice_.archive(CELL)
    assert set(server.roles) == set(server.policies) == {"voicehelper-operator"}
    assert WORKLOAD in server.secrets
    for _ in range(2):
        await slice_.remove(CELL)
    assert list(server.secrets) == [f"cells/{CELL.cell_id}"]  # which CellCredentials removes


async def test_the_data_of_a_tenant(slice_, vault, server):
    await vault.secrets.put(f"tenant-{TENANT}-admin", {"password": "x"})
    await slice_.remove_tenant(CELL, TENANT, data=False)
    assert f"tenants/{TENANT}/admin" in server.secrets
    await slice_.remove_tenant(CELL, TENANT, data=True)
    assert not server.secrets


async def test_vault_is_waited_for_but_an_old_one_is_not(settings, server, monkeypatch):
    monkeypatch.setattr(vault_store, "_RETRY_SECONDS", 0.05)
    server.sealed = True
    opening = asyncio.create_task(vault_store.opened(settings, asyncio.Event()))
    await asyncio.sleep(0.3)
    assert not opening.done()
    server.sealed = False
    await (await opening).close()
    server.version = "1.14.0"
    with pytest.raises(InvalidArgument, match="too old"):
        await vault_store.opened(settings, asyncio.Event())


async def test_waiting_ends_when_the_process_is_to_stop(settings, server):
    server.sealed, stop = True, asyncio.Event()
    opening = asyncio.create_task(vault_store.opened(settings, stop))
    await asyncio.sleep(0.1)
    stop.set()
    await (await asyncio.wait_for(opening, 5)).close()


def test_vault_needs_an_address():
    with pytest.raises(ValidationError, match="needs vault_address"):
        ClusterOperatorSettings(secrets="vault")
    assert ClusterOperatorSettings().secrets == "kubernetes"


def _ready(port, process):
    """The answer of a process that has begun to listen."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        assert process.poll() is None, process.communicate()[0][-3000:]
        try:
            return httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False)
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError("it does not listen")


@pytest.mark.integration
def test_the_process_waits_for_vault_and_then_reconciles(api_server, server, settings, tmp_path):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    config = {
        "kubeconfig": str(api_server.kubeconfig), "http_host": "127.0.0.1", "http_port": port, "secrets": "vault",
        "webhook": {"enabled": False},
        "vault_address": server.address, "vault_token_file": str(settings.vault_token_file),
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    server.sealed = True
    process = subprocess.Popen(
        [sys.executable, "-m", "voicehelper_operator", "serve"],
        env={**os.environ, "VOICEHELPER_CONFIG": str(tmp_path / "config.json")},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        assert _ready(port, process).status_code == 503
        server.sealed, end = False, time.monotonic() + 30
        while _ready(port, process).status_code != 200:
            assert time.monotonic() < end
            time.sleep(0.3)
    finally:
        process.terminate()
        output = process.communicate(timeout=20)[0]
    assert "waiting for Vault" in output
    assert process.returncode == 0, output[-3000:]
