"""Which Helm is taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from voicehelper_e2e.charts import tools


@pytest.mark.parametrize(
    ("said", "found"), [("v3.13.0", (3, 13)), ("v4.1.4+g1234\n", (4, 1)), ("3.20.2", (3, 20)), ("nothing", (0, 0))]
)
def test_versions(said: str, found: tuple[int, int]) -> None:
    assert tools.version(said) == found


@pytest.mark.parametrize(("installed", "taken"), [("v3.13.0", True), ("v3.12.3", False), ("", False)])
def test_an_installed_helm_is_taken_where_it_is_new_enough(
    installed: str, taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "helm"
    program.write_text(f"#!/bin/sh\necho '{installed}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(tools, "built", lambda *_: Path("/built/helm"))
    assert tools.helm() == (program if taken else Path("/built/helm"))
