"""A tenant with [[messages]] and [[passages]] moves between two shared cells of a throwaway platform, there and back again, on one
machine, under four clients of its own that ask all the time (a question now and then, else their list of conversations).

| | |
|---|---|
| requests wait at the switch, P50 | [[pause.p50]] |
| P95, the longest | [[pause.p95]], [[pause.max]] |
| from the beginning until the switch: what they would wait without a copy beforehand | [[until-switch]] |
| from the beginning until the source is empty | [[whole]] |
| for comparison: Postgres copies the messages alone, from one table into another | [[copy]] |
| requests meanwhile, failed | [[requests]], [[failed]] |
| tries to switch, of all moves | [[attempts]] |

Afterwards the messages are compared with what they were before the first move (checksums; differences: [[changed]]), and
the vectors are counted ([[vectors.missing]] missing).
"""

from __future__ import annotations

from voicehelper_bench.goals import Goal
from voicehelper_bench.plots import Plot

TITLE = "Moves"
GOALS: tuple[Goal, ...] = (
    Goal("requests wait at the switch of a move, P95", "pause.p95", "<=", 2, source="issue 6"),
    Goal("failed requests during moves", "failed", "<=", 0, source="issue 6"),
    Goal("messages that moves changed", "changed", "<=", 0, source="issue 6"),
)
PLOTS: tuple[Plot, ...] = ()
