"""A slim Milvus client: the requests that we make, over the protocol's own generated messages.

``wire.py`` loads the messages, ``client.py`` sends requests, ``rows.py`` turns rows into columns and back. pymilvus is
the reference (a test compares what goes over the wire) and brings the messages; importing all of it would load pandas
and numpy, 90 MB and a second and a half for every cell.
"""

from voicehelper_core.milvus.client import (
    NO_COLLECTION,
    NO_PARTITION,
    NOT_LOADED,
    UNREACHABLE,
    Index,
    MilvusClient,
    MilvusError,
)
from voicehelper_core.milvus.rows import Column

__all__ = [
    "NOT_LOADED",
    "NO_COLLECTION",
    "NO_PARTITION",
    "UNREACHABLE",
    "Column",
    "Index",
    "MilvusClient",
    "MilvusError",
]
