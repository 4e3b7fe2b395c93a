"""Change data capture: a commit until it is in Kafka, and until the usage API counts it; against default polling.

``writer.py`` writes messages as a cell does, in a process of its own, and notes when each commit returned.
``readers.py`` notes when Kafka hands the event out and when ``GET /api/v1/usage`` counts it. ``connectors.py`` runs
the peer: the same connector with Debezium's own polling, on a slot of its own, in alternating rounds.
"""

from __future__ import annotations

from voicehelper_bench.cdc.run import run

__all__ = ["run"]
