"""The part of requirements.lock that extras of the project need, with its hashes: ``image_requirements.py EXTRA...``.

Nothing but the standard library, no index: who needs whom stands in the comments of the lock.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_OWN = re.compile(r"voicehelper\[([\w,-]+)\]")


def roots(extras: list[str]) -> set[str]:
    """What the project itself asks for. Raises KeyError for an extra that it does not have."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found, following, seen = set(map(_name, project["dependencies"])), list(extras), set()
    while following:
        extra = following.pop()
        if extra in seen:
            continue
        seen.add(extra)
        for line in project["optional-dependencies"][extra]:
            if own := _OWN.match(line):
                following += own[1].split(",")
            else:
                found.add(_name(line))
    return found


def entries(lock: str) -> list[tuple[str, set[str], str]]:
    """Of each distribution the name, who needs it, and its lines."""
    found = []
    for text in re.split(r"(?m)^(?=[a-z0-9])", lock)[1:]:
        needed_by = {_name(part) for part in re.findall(r"^    #(?: via|  )? +([a-zA-Z0-9].*)$", text, re.MULTILINE)}
        found.append((_name(text), needed_by, text))
    return found


def chosen(lock: str, extras: list[str]) -> str:
    """The lines of all that the extras need."""
    listed, wanted, before = entries(lock), roots(extras), set[str]()
    while wanted != before:
        before = set(wanted)
        wanted |= {name for name, needed_by, _ in listed if needed_by & wanted}
    return "".join(text for name, _, text in listed if name in wanted)


def _name(requirement: str) -> str:
    found = _NAME.match(requirement)
    assert found is not None, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


if __name__ == "__main__":
    sys.stdout.write(chosen((ROOT / "requirements.lock").read_text(), sys.argv[1:]))
