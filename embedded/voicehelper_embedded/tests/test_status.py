"""Shapes that later work builds on, and what people read."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner
from voicehelper_cli.failures import Failure
from voicehelper_embedded import client, commands, lifecycle, ports, preflight, status
from voicehelper_embedded.home import Home

COMPONENT = {
    "name": "postgres", "pid": 7, "state": "ready", "port": 5432, "rss_bytes": 2**20, "restarts": 0, "message": "",
}  # fmt: skip


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    made = Home(tmp_path / "home")
    made.make()
    monkeypatch.setenv("VOICEHELPER_HOME", str(made.folder))
    return made


@pytest.fixture
def cli() -> Typer:
    app = Typer()
    commands.register(app)
    return app


def running(monkeypatch, *components):
    answer = {"pid": 1, "release": "r0", "user": None, "ports": {}, "components": list(components)}
    monkeypatch.setattr(client, "components", lambda home, memory=True: answer)


def test_nothing_runs(tmp_path):
    assert status.describe(Home(tmp_path / "none"))["state"] == "stopped"
    assert "voicehelper up" in status.text(status.describe(Home(tmp_path / "none")))


def test_shape(home, monkeypatch):
    ports.assign(home, [])
    running(monkeypatch, COMPONENT)
    described = status.describe(home)
    assert described["state"] == "running"
    assert described["urls"]["router"].startswith("http://127.0.0.1:")
    assert described["urls"]["api"].startswith("http://127.0.0.1:")
    assert set(described["components"][0]) >= {"name", "pid", "state", "port", "rss_bytes"}


def test_one_that_is_not_ready_makes_it_degraded(home, monkeypatch):
    ports.assign(home, [])
    running(monkeypatch, COMPONENT, {**COMPONENT, "name": "kafka", "state": "backoff", "message": "it ended"})
    described = status.describe(home)
    assert described["state"] == "degraded"
    assert "it ended" in status.text(described)


def test_without_root_isolation_is_weaker_and_said_so():
    assert "weaker" in status.isolation(Home(Path("/x")))
    assert "weaker" not in status.isolation(Home(Path("/x"), root=True))


def test_logs(home, cli):
    (home.logs / "kafka.log").write_text("one\ntwo\nthree\n")
    shown = CliRunner().invoke(cli, ["logs", "kafka", "-n", "2"])
    assert shown.stdout == "two\nthree\n"
    refused = CliRunner().invoke(cli, ["logs", "../secrets"])
    assert isinstance(refused.exception, Failure)
    assert "kafka" in str(refused.exception)


def test_doctor_names_what_is_missing(cli, monkeypatch):
    monkeypatch.setattr(preflight, "_postgres", lambda: None)
    shown = CliRunner().invoke(cli, ["doctor"])
    assert "MISSING" in shown.stdout
    assert "apt-get install -y postgresql-15" in str(shown.exception)


def test_without_root_the_command_that_installs_is_named(monkeypatch):
    monkeypatch.setattr(preflight, "_java", lambda: None)
    monkeypatch.setattr(preflight.os, "geteuid", lambda: 1000)
    with pytest.raises(Failure, match=r"Java 17.*apt-get install -y openjdk-17-jre-headless"):
        preflight.provide(print)


@pytest.mark.parametrize("folder", ["/", "/var/lib", "/tmp", str(Path.home())])
def test_no_platform_lives_in_a_folder_of_others(folder):
    with pytest.raises(Failure, match="cannot be a platform's home"):
        lifecycle.up(Home(Path(folder)), None)


def test_clean_refuses_what_is_no_home(tmp_path):
    (tmp_path / "keep").write_text("")
    with pytest.raises(Failure, match="does not look like"):
        lifecycle.clean(Home(tmp_path))
    assert (tmp_path / "keep").exists()
    assert lifecycle.clean(Home(tmp_path / "none")) is False
