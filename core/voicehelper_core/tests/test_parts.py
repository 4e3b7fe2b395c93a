"""Parts of packages come without the rest, and agree with the whole."""

from __future__ import annotations

import subprocess
import sys

import pytest
from voicehelper_core.parts import part

LEAN = """
import sys
from voicehelper_core.parts import part
assert part("snowballstemmer", "english_stemmer").EnglishStemmer().stemWord("running") == "run"
assert part("snowballstemmer", "english_stemmer") is part("snowballstemmer", "english_stemmer")
import voicehelper_core.milvus
loaded = {name.partition(".")[0] for name in sys.modules}
print(sorted(loaded & {"snowballstemmer", "pymilvus", "pandas", "numpy"}))
import snowballstemmer
assert snowballstemmer.stemmer("english").stemWord("running") == "run"
"""


def test_the_rest_is_not_loaded_and_can_be_later() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAN],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_what_is_not_installed_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match="'no_such_package' is not installed"):
        part("no_such_package/inner", "module")
