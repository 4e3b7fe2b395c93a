"""The Containerfile says what ``make cluster-image`` does; no engine builds it here."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from fnmatch import fnmatch

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from voicehelper_e2e.cluster import project_image
from voicehelper_e2e.cluster.project_image import EXTRAS, PACKAGES, ROOMS, ROOT

TEXT = (ROOT / "Containerfile").read_text()
IMAGE = project_image.described([], "${VERSION}")
Instruction = tuple[str, str]


def instructions() -> list[Instruction]:
    joined = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^#.*\n", "", TEXT))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def stages() -> list[list[Instruction]]:
    """By their FROM; what stands before the first is none."""
    found: list[list[Instruction]] = []
    for name, rest in instructions():
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append((name, rest))
    return found


def only(stage: list[Instruction], name: str) -> str:
    (one,) = [rest for found, rest in stage if found == name]
    return one


def pairs(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in shlex.split(text))


ENVIRONMENT, CODE, LAST = stages()


def test_it_runs_as_the_clusters_image_does() -> None:
    assert only(LAST, "USER") == IMAGE.user
    assert json.loads(only(LAST, "ENTRYPOINT")) == IMAGE.entrypoint
    assert only(LAST, "WORKDIR") == "/"
    assert pairs(only(LAST, "ENV")) == IMAGE.environment
    assert pairs(only(LAST, "LABEL")) == IMAGE.labels
    assert only(LAST, "ARG").startswith("VERSION=")


def test_the_user_has_a_name() -> None:
    number = IMAGE.user.partition(":")[0]
    assert f"voicehelper:x:{number}:{number}::/tmp:" in only(LAST, "RUN")


def test_it_has_the_same_packages() -> None:
    found = re.search(r"apt-get install --yes --no-install-recommends ([^&]+)&&", only(LAST, "RUN"))
    assert found is not None
    assert sorted(found[1].split()) == sorted(PACKAGES)


def test_its_last_layer_is_the_code() -> None:
    assert LAST[-1] == ("COPY", "--from=code / /opt/voicehelper/code/")
    copied = [rest.split() for name, rest in CODE if name == "COPY"]
    assert copied == [[f"{room}/voicehelper_{room}", f"/{room}/voicehelper_{room}"] for room in ROOMS]


def test_no_host_is_named() -> None:
    """Where things come from is the business of whoever builds."""
    assert [rest.split()[0] for name, rest in instructions() if name == "FROM"] == ["${BASE}", "scratch", "${BASE}"]
    assert instructions()[0] == ("ARG", "BASE=debian:12-slim")
    assert not re.search(r"https?://|index-url|\b[\w-]+\.(io|com|org|net)/", TEXT)


def test_the_environment_is_locked_and_has_hashes() -> None:
    install = next(rest for name, rest in ENVIRONMENT if name == "RUN" and "pip install" in rest)
    assert "--require-hashes" in install
    assert "--no-deps" in install
    extras = re.search(r"image_requirements\.py ([\w -]+) > requirements\.txt", install)
    assert extras is not None
    assert tuple(extras[1].split()) == EXTRAS


@pytest.mark.skipif(not (ROOT / ".venv").exists(), reason="compared with the environment of make env")
def test_the_environment_is_that_of_the_clusters_image() -> None:
    script = runpy.run_path(str(ROOT / "scripts/image_requirements.py"))
    chosen = script["chosen"]((ROOT / "requirements.lock").read_text(), list(EXTRAS))
    listed = [Requirement(line.removesuffix("\\")) for line in chosen.splitlines() if re.match("[a-z0-9]", line)]
    locked = {
        canonicalize_name(one.name): str(one.specifier).removeprefix("==")
        for one in listed
        if one.marker is None or one.marker.evaluate()
    }
    assert locked == {canonicalize_name(one.metadata["Name"]): one.version for one in project_image.distributions()}
    for text in re.split(r"(?m)^(?=[a-z0-9])", chosen)[1:]:
        assert "--hash=sha256:" in text


def test_an_extra_that_is_none_is_refused() -> None:
    script = runpy.run_path(str(ROOT / "scripts/image_requirements.py"))
    with pytest.raises(KeyError, match="voice"):
        script["chosen"]("", ["voice"])


def test_what_is_copied_is_sent_and_no_tests() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split("\n", 1)[1].split()
    sources = [part for name, rest in [*ENVIRONMENT, *CODE] if name == "COPY" for part in rest.split()[:-1]]
    assert ignored == ["*", *(f"!{source}" for source in sources), "**/tests", "**/__pycache__"]
    assert all((ROOT / source).exists() for source in sources)
    assert fnmatch("cell/voicehelper_cell/rag/tests", ignored[-2])
