"""Fuzzing: whatever comes in is accepted or refused with a reason; nothing crashes, hangs or answers 5xx.

``targets`` holds the parsers, each a function of bytes; ``worker`` feeds one of them by coverage (atheris);
``python -m voicehelper_e2e.fuzz`` runs all; ``wire`` sends requests to a running platform.
"""
