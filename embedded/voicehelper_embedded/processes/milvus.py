"""``python -m voicehelper_embedded.processes.milvus server ...``: Milvus Lite's command with the quicker search."""

from __future__ import annotations

import sys

from milvus_lite import cmdline

from voicehelper_embedded.milvus.search import install


def main() -> int:
    """The library's own command line."""
    install()
    return int(cmdline.main())


if __name__ == "__main__":
    sys.exit(main())
