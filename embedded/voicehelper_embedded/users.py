"""Operating-system users of the platform and of its cells, where root runs it."""

from __future__ import annotations

import pwd
import subprocess

_COMMENT = "voicehelper-"


def ensure(name: str, tag: str) -> pwd.struct_passwd:
    """The user with a group of its own, made when it is missing; ``tag`` says whose platform it belongs to."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        pass
    command = ["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
    done = subprocess.run(
        [*command, "--user-group", "--comment", f"{_COMMENT}{tag}", name], check=False, capture_output=True, text=True
    )
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise RuntimeError(f"cannot make the user {name}: {done.stderr.strip()}") from None


def remove(name: str) -> None:
    """Remove the user and its own group. No error where there is none."""
    subprocess.run(["userdel", name], check=False, capture_output=True)
    subprocess.run(["groupdel", name], check=False, capture_output=True)


def of_platform(tag: str) -> list[str]:
    """All users that were made for a platform."""
    return [account.pw_name for account in pwd.getpwall() if account.pw_gecos == f"{_COMMENT}{tag}"]
