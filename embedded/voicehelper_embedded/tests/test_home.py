"""Homes, files, ports, releases: what ``up`` prepares."""

from __future__ import annotations

import json
import os
import socket
import stat
from pathlib import Path

import pytest
from voicehelper_embedded import credentials, files, ports, release
from voicehelper_embedded.home import DEFAULT_ROOT_HOME, Home


@pytest.fixture
def home(tmp_path) -> Home:
    made = Home(tmp_path / "home")  # as without root
    made.make()
    return made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_users_belong_to_their_home():
    assert Home(DEFAULT_ROOT_HOME, root=True).user == "voicehelper"
    one, two = Home(Path("/srv/a"), root=True), Home(Path("/srv/b"), root=True)
    assert one.user != two.user
    assert one.user.startswith("vh-")
    assert len(one.user) <= 32
    assert Home(Path("/srv/a")).user is None


def test_changed_settings_are_noticed(home):
    """By ``client.start``, which lets a new supervisor take over then."""
    seen = [home.settings]
    for text in ('{"cells": {"model_name": "a"}}', '{"cells": {"model_name": "b"}}'):
        (home.folder / "settings.json").write_text(text)
        seen.append(home.settings)
        assert home.settings == seen[-1]
    assert len(set(seen)) == 3
    (home.folder / "settings.json").unlink()
    assert home.settings == seen[0]


def test_folders_with_secrets_are_private(home):
    for folder in (home.state, home.secrets, home.logs):
        assert mode(folder) == 0o700
    for folder in (home.folder, home.run, home.objects):
        assert mode(folder) == 0o711
    home.make()


def test_files_are_replaced_whole_and_private(tmp_path):
    path = tmp_path / "a" / "b.json"
    files.write_json(path, {"x": 1})
    files.write_json(path, {"x": 2})
    assert files.read_json(path, {}) == {"x": 2}
    assert mode(path) == 0o600
    assert [item.name for item in path.parent.iterdir()] == ["b.json"]
    path.write_text('{"x":')
    assert files.read_json(path, "torn") == "torn"
    assert files.read_json(tmp_path / "none", "missing") == "missing"


def test_files_do_not_follow_a_link_of_the_folders_owner(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("untouched")
    (tmp_path / "config.json").symlink_to(outside)
    files.write(tmp_path / "config.json", "new")
    assert outside.read_text() == "untouched"
    assert (tmp_path / "config.json").read_text() == "new"


def test_ports_stay_and_never_meet(home, monkeypatch):
    monkeypatch.setenv("VOICEHELPER_HOME", str(home.folder))  # the known ports may be somebody's
    first, moved = ports.assign(home, [])
    assert moved == []
    assert set(first) == set(ports.NAMES)
    assert len(set(first.values())) == len(first)
    again, _ = ports.assign(home, [])
    assert again == first == json.loads((home.state / "ports.json").read_text())


def test_the_main_platform_gets_the_known_ports(home, monkeypatch):
    monkeypatch.delenv("VOICEHELPER_HOME", raising=False)
    monkeypatch.setattr(ports, "is_free", lambda port: True)
    assigned, _ = ports.assign(home, [])
    assert (assigned["router"], assigned["api"]) == (8080, 8081)


def test_a_taken_port_names_its_holder_and_another_one_is_used(home, monkeypatch):
    monkeypatch.setenv("VOICEHELPER_HOME", str(home.folder))
    before, _ = ports.assign(home, [])
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", before["router"]))
        holder.listen()
        after, moved = ports.assign(home, [])
        ours, unmoved = ports.assign(home, [os.getpid()])
    assert [item.name for item in moved] == ["router"]
    assert f"pid {os.getpid()}" in moved[0].holder
    assert after["router"] == moved[0].taken != before["router"]
    assert {name: port for name, port in after.items() if name != "router"} == {
        name: port for name, port in before.items() if name != "router"
    }
    assert unmoved == []
    assert ours == after


def test_our_own_processes_keep_their_ports(home, monkeypatch):
    monkeypatch.setenv("VOICEHELPER_HOME", str(home.folder))
    before, _ = ports.assign(home, [])
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", before["router"]))
        holder.listen()
        after, moved = ports.assign(home, [os.getpid()])
    assert moved == []
    assert after == before


def test_secrets_are_made_once_and_follow_the_ports(home):
    credentials.ensure(home, {"postgres": 5001})
    first = files.read_json(home.secrets / "platform.json", {})
    credentials.ensure(home, {"postgres": 5002})
    second = files.read_json(home.secrets / "platform.json", {})
    assert first["control_plane_dsn"].endswith(":5001/voicehelper")
    assert second["control_plane_dsn"].endswith(":5002/voicehelper")
    passwords = {name: value for name, value in first.items() if name.endswith("_password")}
    assert len(set(passwords.values())) == len(passwords) > 5
    assert all(second[name] == value for name, value in passwords.items())
    for path in home.secrets.iterdir():
        assert mode(path) == 0o600
    admin = files.read_json(home.secrets / "platform-admin.json", {})
    assert admin == {"email": first["platform_admin_email"], "password": first["platform_admin_password"]}


def test_a_release_is_the_hash_of_the_code(home, monkeypatch, tmp_path):
    source = tmp_path / "checkout"
    for room in release.ROOMS:
        folder = source / room / f"voicehelper_{room}"
        (folder / "tests").mkdir(parents=True)
        (folder / "__init__.py").write_text(f'"""{room}"""\n')
        (folder / "tests" / "test_x.py").write_text("assert False\n")
    monkeypatch.setattr(release, "ROOT", source)
    first = release.build(home, print)
    assert first.id == release.build(home, print).id
    assert (first.path / "voicehelper_cell" / "__init__.py").read_text() == '"""cell"""\n'
    assert not list(first.path.rglob("test_*.py"))
    (source / "core" / "voicehelper_core" / "tests" / "test_x.py").write_text("assert True\n")
    assert release.build(home, print).id == first.id
    (source / "core" / "voicehelper_core" / "new.py").write_text("x = 1\n")
    second = release.build(home, print)
    assert second.id != first.id
    assert first.path.exists()
    assert (second.path / "voicehelper_core" / "new.py").exists()
    assert second.environment()["PYTHONPATH"] == str(second.path)


def test_a_private_folder_above_makes_an_interpreter_unreachable(tmp_path):
    program = tmp_path / "venv" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text("")
    program.chmod(0o755)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            mine = folder
            break
    mine.chmod(0o700)
    assert not release.reachable(program)


def test_the_systems_interpreter_is_reachable():
    assert release.reachable(Path("/usr/bin/python3"))
