"""Which Kubernetes it is: what is given comes first, then Docker's, then our own."""

from __future__ import annotations

from pathlib import Path

import pytest
from voicehelper_e2e.cluster.choose import Way, chosen
from voicehelper_e2e.cluster.home import Home


@pytest.fixture(autouse=True)
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    return tmp_path


def _program(folder: Path, name: str, status: int) -> None:
    (folder / name).write_text(f"#!/bin/sh\nexit {status}\n")
    (folder / name).chmod(0o755)


def test_what_is_given_is_used(monkeypatch: pytest.MonkeyPatch, programs: Path) -> None:
    for name in ("docker", "kind"):
        _program(programs, name, 0)
    monkeypatch.setenv("KUBECONFIG", "/somewhere/config")
    assert chosen() == (Way.GIVEN, "using the cluster of KUBECONFIG=/somewhere/config")


def test_our_own_is_not_taken_for_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(Home.default().kubeconfig))
    assert chosen()[0] is Way.BARE


@pytest.mark.parametrize(("docker", "kind", "way"), [(0, 0, Way.KIND), (1, 0, Way.BARE), (0, None, Way.BARE)])
def test_docker_has_to_answer_and_kind_to_be_there(docker: int, kind: int | None, way: Way, programs: Path) -> None:
    _program(programs, "docker", docker)
    if kind is not None:
        _program(programs, "kind", kind)
    assert chosen()[0] is way
