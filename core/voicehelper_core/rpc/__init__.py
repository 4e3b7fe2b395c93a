"""gRPC without a network: generated stubs and servicers of one process call each other directly.

Python's grpc has no in-process channel. ``LocalChannel`` gives the surface of ``grpc.aio``'s channel (deadlines,
cancellation, streaming both ways, metadata, codes) and takes servicers and server interceptors as ``grpc.aio.server``
does, so that the code of a compact cell and of an expanded one is the same. One contract suite (``tests/test_rpc.py``)
runs over it, a Unix socket and TCP.

Messages are serialized and parsed as on the wire (half a microsecond for a small one), so that neither side ever sees
the other's object. A handler runs in a task of its own with an empty context, so that a caller's tenant or trace
reaches it only by metadata and the interceptors.

``channel.py`` registers handlers and makes calls, ``exchange.py`` is one running call, ``servicer.py`` is what a
handler sees of it, ``call.py`` what the client sees. ``remote.py`` is the channel of an expanded cell, in which the
services run elsewhere.
"""

from voicehelper_core.rpc.channel import LocalChannel

__all__ = ["LocalChannel"]
