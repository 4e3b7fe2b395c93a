"""The generated gRPC code is what ``proto/`` gives."""

from __future__ import annotations

from pathlib import Path

from voicehelper_core import protogen


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*.py*")
        if path.suffix in (".py", ".pyi")
    }


def test_the_code_is_up_to_date(tmp_path):
    protogen.generate(tmp_path)
    fresh, committed = content(tmp_path), content(Path(protogen.__file__).parent / "gen")
    assert sorted(fresh) == sorted(committed), "run 'make proto'"
    assert fresh == committed, "run 'make proto'"
