"""Generates ``voicehelper_core.gen`` from ``proto/``; run by ``make proto``, checked by a test.

protoc writes absolute imports (``from identity.v1 import ...``); they are rewritten to live below
``voicehelper_core.gen``, so that no top-level package is called ``ai`` or ``model``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "voicehelper_core.gen"


def generate(target: Path, source: Path = ROOT / "proto") -> None:
    """Write the modules of every ``.proto`` below ``source`` into ``target``."""
    from grpc_tools import protoc

    files = sorted(source.rglob("*.proto"))
    arguments = ["protoc", f"-I{source}", f"--python_out={target}", f"--pyi_out={target}"]
    status = protoc.main([*arguments, f"--grpc_python_out={target}", *map(str, files)])
    if status != 0:
        raise RuntimeError(f"protoc ended with {status}")
    tops = "|".join(sorted({file.relative_to(source).parts[0] for file in files}))
    pattern = re.compile(rf"^from (({tops})\.\S+) import", re.MULTILINE)
    for path in [*target.rglob("*.py"), *target.rglob("*.pyi")]:
        path.write_text(pattern.sub(rf"from {PACKAGE}.\1 import", path.read_text()))
    for folder in {path.parent for path in target.rglob("*_pb2.py")}:
        for package in (folder, folder.parent):
            (package / "__init__.py").touch()
    (target / "__init__.py").touch()


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "gen")
