"""Releases through [[cells]] on a throwaway platform of one machine: real processes, half of the cells shared and half
dedicated, a tenant in each, and a client of each tenant that asks all the time (a question now and then, else its list of
conversations). The bad release starts, says that it is ready, and answers every request of a tenant, and so the routed
probe, with an error. It goes through the cells twice in the same run: by the shipped strategy, which begins with one
cell, and all at once.

| a bad release | shipped waves | all at once |
|---|---|---|
| cells that ran it | [[waves.cells]] | [[at-once.cells]] |
| tenants that saw a failed request | [[waves.tenants]] | [[at-once.tenants]] |
| failed requests, of | [[waves.failed]], [[waves.requests]] | [[at-once.failed]], [[at-once.requests]] |
| from the first wrong answer until it is noticed | [[waves.noticed]] | [[at-once.noticed]] |
| from then until all run the old release again | [[waves.back]] | [[at-once.back]] |

A cell counts as failed once a tenant in it has not been ready for `unhealthySeconds`, 30 unless the strategy says
otherwise; the rest of the time until it is noticed is the probe's. A good release takes [[good.cell]] a cell with [[good.concurrency]],
of which the router is given 5 s to send nobody to the process before; all of them take [[good.all]], and of
[[good.requests]] [[good.failed]] fail.
"""

from __future__ import annotations

from voicehelper_bench.goals import Goal
from voicehelper_bench.plots import Plot

TITLE = "Upgrades"
GOALS: tuple[Goal, ...] = (
    Goal("cells that a bad release reaches by the shipped waves", "waves.cells", "<=", 1, source="issue 6"),
    Goal("its rollback, from when it was noticed", "waves.back", "<=", 60, source="issue 6"),
    Goal("failed requests of a good release", "good.failed", "<=", 0, source="issue 6"),
)
PLOTS: tuple[Plot, ...] = ()
