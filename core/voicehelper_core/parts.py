"""Loads a part of an installed package without running the package's ``__init__``.

Some packages import everything that they have when one small part is wanted: pymilvus loads pandas for its messages
(90 MB, 1.5 s), snowballstemmer the stemmers of 35 languages for the English one (10 MB). A cell has to stay small.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

_PREFIX = "voicehelper_core.parts"


def part(folder: str, module: str) -> Any:
    """The module in a package's folder (``"pymilvus/grpc_gen"``), loaded under a name of our own.

    What it imports relatively comes from that folder too; a later import of the whole package is not disturbed.
    Raises ModuleNotFoundError where the package is not installed.
    """
    package = f"{_PREFIX}.{folder.replace('/', '_')}"
    if package not in sys.modules:
        name, _, inner = folder.partition("/")
        found = importlib.util.find_spec(name)  # looks for it, does not import it
        if found is None or found.origin is None:
            raise ModuleNotFoundError(f"the package '{name}' is not installed", name=name)
        shell = ModuleType(package, f"The folder {folder}, without what its __init__ imports.")
        shell.__path__ = [str(Path(found.origin).parent / inner)]
        sys.modules[package] = shell
    return importlib.import_module(f"{package}.{module}")
