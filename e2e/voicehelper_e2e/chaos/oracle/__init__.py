"""Compares every store with what clients know. ``await check(fired, ledger)`` gives the findings; none is the goal."""

from voicehelper_e2e.chaos.oracle.checks import check, left_over
from voicehelper_e2e.chaos.oracle.finding import Finding

__all__ = ["Finding", "check", "left_over"]
