"""One process owns all others: it starts them in order, probes them, restarts them with back-off, stops them.

``process.py`` is one operating-system process, ``state.py`` remembers pids and start times on disk so that the next
supervisor adopts survivors, ``unit.py`` keeps one component running, ``supervisor.py`` keeps all of them, and
``workloads.py`` with ``server.py`` runs cells on the operator's behalf (ADR 12).
"""
