"""Envoy's configuration: accepted by the real binary, and what must be in it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from voicehelper_router import envoy
from voicehelper_router.bootstrap import render
from voicehelper_router.leaving import DRAIN_PATH
from voicehelper_router.settings import BootstrapSettings

SETTINGS = BootstrapSettings(listen_port=1, admin_port=2, xds_port=3, jwks_port=4, identity_port=5)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"otlp_port": 4317, "otlp_host": "collector.example"},
        {"identity_host": "identity"},
        {"admin_socket": "/tmp/a.sock", "xds_socket": "/tmp/x.sock"},
    ],
)
def test_the_binary_accepts_it(tmp_path: Path, more: dict[str, object]) -> None:
    path = tmp_path / "envoy.json"
    path.write_text(json.dumps(render(SETTINGS.model_copy(update=more))))
    command = [*envoy.command(path, base_id=0), "--mode", "validate"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr.lower()


def test_version_of_the_binary() -> None:
    assert envoy.version().startswith("1.")


def test_another_binary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(envoy.VARIABLE, "/opt/envoy")
    assert envoy.binary() == Path("/opt/envoy")


def test_listener_waits_for_routes() -> None:
    text = json.dumps(render(SETTINGS))
    assert text.count('"initial_fetch_timeout": "0s"') == 3


def test_filters_in_order() -> None:
    manager = render(SETTINGS)["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    found = [item["name"].rpartition(".")[2] for item in manager["http_filters"]]
    assert found == ["lua", "jwt_authn", "rbac", "ext_authz", "router"]


def test_a_port_of_the_administration_only_reads(tmp_path: Path) -> None:
    """Draining is for whoever owns the socket, in the same pod."""
    drained = [
        DRAIN_PATH in str(render(settings)["admin"]["allow_paths"])
        for settings in (SETTINGS, SETTINGS.model_copy(update={"admin_socket": tmp_path / "admin.sock"}))
    ]
    assert drained == [False, True]
