"""Feeds one target by coverage: ``python -m voicehelper_e2e.fuzz.worker NAME [options of libFuzzer]``.

A process of its own, since libFuzzer ends the process at the first defect and leaves the input behind.
"""

from __future__ import annotations

import sys

import atheris

from voicehelper_e2e.fuzz.targets import TARGETS

HANG_SECONDS = 5
MEMORY_MB = 1500


def main() -> None:
    """Exit code 0 where all inputs were borne, 77 (libFuzzer) at a defect."""
    target = TARGETS[sys.argv[1]]
    with atheris.instrument_imports(include=list(target.modules), enable_loader_override=False):
        for seed in target.seeds:  # imports what the target needs; seeds have to pass anyway
            target.run(seed.read_bytes())
    options = ["-max_len=4096", f"-timeout={HANG_SECONDS}", f"-rss_limit_mb={MEMORY_MB}", *sys.argv[2:]]
    atheris.Setup([sys.argv[0], *options], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
