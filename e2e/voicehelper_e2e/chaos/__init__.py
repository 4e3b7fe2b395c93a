"""The crash campaign: clients work, processes are killed, and at the end nothing acknowledged may be lost.

``schedule.py`` draws everything from a seed, ``platform.py`` kills and waits, ``clients.py`` works and remembers what
was acknowledged (``ledger.py``), ``oracle/`` compares the stores with that, ``campaign.py`` ties them together and
``report.py`` says what came of it. ``python -m voicehelper_e2e.chaos --seed 1`` runs it; ``docs/chaos.md`` tells more.
"""
