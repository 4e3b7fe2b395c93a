"""Where a platform is, and what is said where there is none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from voicehelper_cli.context import ContextName, Home, home_folder
from voicehelper_cli.failures import Failure, NotAvailable, NotRunning


def test_the_home_is_what_the_variable_says_or_what_the_user_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert home_folder({"VOICEHELPER_HOME": "/srv/vh"}) == Path("/srv/vh")
    assert home_folder({}, root=True) == Path("/var/lib/voicehelper")
    monkeypatch.setenv("HOME", "/home/ada")
    assert home_folder({}, root=False) == Path("/home/ada/.local/share/voicehelper")


def test_the_router_is_where_the_ports_say(tmp_path: Path) -> None:
    with pytest.raises(NotRunning):
        Home(tmp_path).router_url()
    (tmp_path / "state").mkdir()
    for text in ("", "{}", "[", "\xff"):
        (tmp_path / "state" / "ports.json").write_text(text, encoding="latin-1")
        with pytest.raises(NotRunning):
            Home(tmp_path).router_url()
    (tmp_path / "state" / "ports.json").write_text(json.dumps({"router": 1234}))
    assert Home(tmp_path).router_url() == "http://127.0.0.1:1234"


async def test_without_the_platform_secret_it_is_not_running(tmp_path: Path) -> None:
    with pytest.raises(NotRunning):
        await Home(tmp_path).control_plane_dsn()


async def test_a_secret_of_another_user_names_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", denied)
    with pytest.raises(Failure, match="run this as the user that ran `voicehelper up`"):
        await Home(tmp_path).secret("platform")
    with pytest.raises(Failure, match="permission denied"):
        Home(tmp_path).ports()


def test_kube_is_not_there_yet() -> None:
    with pytest.raises(NotAvailable, match="not available in this version"):
        Home.of(ContextName.kube)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["get", "tenants"], 1, "the platform is not running: start it with `voicehelper up`"),
        (["token", "--platform"], 1, "not running"),
        (["chat", "--tenant", "acme", "hello"], 1, "not running"),
        (["usage", "--tenant", "acme"], 1, "not running"),
        (["--context", "kube", "get", "tenants"], 2, "not available in this version"),
        (["apply", "-f", "/nowhere.yaml"], 1, "/nowhere.yaml: no such file"),
        (["--help"], 0, ""),
    ],
)
def test_expected_failures_are_one_line_without_a_traceback(
    tmp_path: Path, arguments: list[str], status: int, words: str
) -> None:
    environment = {"VOICEHELPER_HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "voicehelper_cli", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status
    assert "Traceback" not in done.stdout + done.stderr
    assert words in done.stderr
    assert len(done.stderr.splitlines()) <= 1


def test_help_does_not_load_what_only_commands_need() -> None:
    code = "import sys, voicehelper_cli.main as m; m.create_app(); print([n for n in HEAVY if n in sys.modules])"
    heavy = ("httpx", "asyncpg", "yaml", "pydantic", "grpc")
    done = subprocess.run(
        [sys.executable, "-c", code.replace("HEAVY", repr(heavy))],
        env={"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
