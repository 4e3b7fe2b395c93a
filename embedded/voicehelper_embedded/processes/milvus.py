"""``python -m voicehelper_embedded.processes.milvus server ...``: Milvus Lite's command with our search and count."""

from __future__ import annotations

import sys

from milvus_lite import cmdline

from voicehelper_embedded.milvus import count, search


def main() -> int:
    """The library's own command line."""
    search.install()
    count.install()
    return int(cmdline.main())


if __name__ == "__main__":
    sys.exit(main())
