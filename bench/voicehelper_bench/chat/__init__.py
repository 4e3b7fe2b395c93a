"""Conversations through the router, without a model: create, send, list, the first byte of a stream, streams held.

``provider.py`` is somebody else's model that answers at once (a local socket that speaks OpenAI's protocol), and
``bare.py`` the peer, a bare application on the same server that answers as many bytes; both in processes of their own.
``wrk.py`` makes the load, ``paced.py`` the load of clients that pause; ``streams.py`` reads streams as they come.
"""

from __future__ import annotations

from voicehelper_bench.chat.run import run

__all__ = ["run"]
