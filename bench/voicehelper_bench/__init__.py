"""Benchmarks, side by side with a peer or a physical limit in the same run; one JSON line per figure.

``python -m voicehelper_bench [NAME ...]`` runs all or some; each name is a module with ``run(report, *, quick)``, and
``pages/NAME.py`` says its goals, its plots and the text of its section in ``docs/benchmarks.md``.
"""

BENCHES = ("router", "onboard", "cdc", "chat", "retrieval", "footprint", "operator", "fleet", "upgrade", "move")
