"""Texts that the tests upload."""

from __future__ import annotations

FEES = "# Fees\n\nThe annual fee of the bronze card is 25 dollars.\n\n# Limits\n\nYou may withdraw 400 dollars a day."
CATS = "# Cats\n\nA cat sleeps for fifteen hours a day and purrs while it does."
