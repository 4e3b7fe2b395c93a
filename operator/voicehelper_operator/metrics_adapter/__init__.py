"""``custom.metrics.k8s.io``: how many requests each pod of an expanded cell is asked, for horizontal autoscalers.

A process of its own (``python -m voicehelper_operator metrics-adapter``) behind the API server's aggregation layer.
``targets`` knows which pods there are, ``scraper`` reads their ``/metrics`` (``exposition``), ``rates`` makes rates of
what it read. ``api`` answers the API server with ``documents``; it believes what the API server's own certificate
vouches for (``trust``) and asks back whether that user may (``access``). ``server`` serves over TLS with the
``certificate`` that the replicas share. ``app`` assembles. It
changes nothing of a cell.
"""
