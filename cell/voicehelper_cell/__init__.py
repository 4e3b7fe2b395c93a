"""The services of a cell, one folder each with the same file names, and the inference process.

``app.py`` assembles them into one process (``compact``): they meet over their gRPC contracts through a local channel,
in the call graph of ``calls.py``. ``web/`` is the BFF that the router sends HTTP to. The modules beside the folders are
what the services share: settings, database sessions under row-level security, outbox, consumer, placements.
"""
