"""Operating-system users of the platform and of its cells, where root runs it."""

from __future__ import annotations

import contextlib
import pwd
import subprocess

import psutil

_COMMENT = "voicehelper-"


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}  # a service's own path lacks the folders of sbin
    return subprocess.run(command, env=environment, check=False, capture_output=True, text=True)


def ensure(name: str, tag: str) -> pwd.struct_passwd:
    """The user with a group of its own, made when it is missing; ``tag`` says whose platform it belongs to."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        pass
    command = ["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
    done = _run(*command, "--user-group", "--comment", f"{_COMMENT}{tag}", name)
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise RuntimeError(f"cannot make the user {name}: {done.stderr.strip()}") from None


def remove(name: str) -> None:
    """End what the user still runs, remove the user and its own group. No error where there is none."""
    for process in psutil.process_iter(["username"]):
        if process.info["username"] == name:
            with contextlib.suppress(psutil.Error):
                process.kill()
    _run("userdel", name)
    _run("groupdel", name)


def of_platform(tag: str) -> list[str]:
    """All users that were made for a platform."""
    return [account.pw_name for account in pwd.getpwall() if account.pw_gecos == f"{_COMMENT}{tag}"]
