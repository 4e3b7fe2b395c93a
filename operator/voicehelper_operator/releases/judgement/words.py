"""Numbers for people."""

from __future__ import annotations

import math

from voicehelper_operator.releases.judgement.counts import Total


def percent(share: float) -> str:
    """Of a share, 0 to 1."""
    value = 100 * share
    return f"{value:.2f} %" if value >= 0.1 or value == 0 else f"{value:.2g} %"


def share(total: Total) -> str:
    """``1.02 % (31 of 3,040)``."""
    return f"{percent(total.share)} ({total.bad:,} of {total.requests:,})"


def e_value(log: float) -> str:
    """From its natural logarithm, of any size."""
    if log > math.log(1e6):
        return f"10^{log / math.log(10):.0f}"
    value = math.exp(log)
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
