"""Operating-system users of the platform and of its cells, where root runs it."""

from __future__ import annotations

import pwd
import subprocess


def ensure(name: str, group: str | None = None) -> pwd.struct_passwd:
    """The user, made when it is missing; with ``group`` it gets that primary group instead of its own."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        pass
    grouping = ["--gid", group] if group else ["--user-group"]
    command = ["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
    subprocess.run([*command, *grouping, name], check=True, capture_output=True)
    return pwd.getpwnam(name)


def remove(name: str) -> None:
    """Remove the user and its own group. No error where there is none."""
    subprocess.run(["userdel", name], check=False, capture_output=True)
    subprocess.run(["groupdel", name], check=False, capture_output=True)
