"""Releases through **simulated** fleets: the real planner (`operator/.../releases`) on a clock of its own,
with pretended cells that take 2 to 20 s to run a release. Failures, people and deaths of the operator are seeded.

[[schedules]] of up to 40 cells, with random waves, failures, people who pause, stop, roll back, add and remove cells, and
operators that are killed before they have written what they decided: [[schedules.steps]], each against what must always
hold (never more cells failed or on their way than `maxFailedCells`, never beyond `maxConcurrency` and `maxTenants`, no
cell in two waves, no wave before the one before is done, nothing begun while it is paused or ended, and an end). None was
violated: a violation ends the benchmark.

| 1,000 cells, some 100,000 tenants | shipped (one at a time) | a twentieth at once | all at once |
|---|---|---|---|
| a good release, hours | [[1000.shipped.hours]] | [[1000.twentieth.hours]] | [[1000.all-at-once.hours]] |
| most cells on their way at once | [[1000.shipped.worst]] | [[1000.twentieth.worst]] | [[1000.all-at-once.worst]] |
| a bad release (sick after a minute) reaches | [[1000.shipped.bad.cells]] | [[1000.twentieth.bad.cells]] | [[1000.all-at-once.bad.cells]] |
| tenants in them | [[1000.shipped.bad.tenants]] | [[1000.twentieth.bad.tenants]] | [[1000.all-at-once.bad.tenants]] |
| until all run the old release again | [[1000.shipped.bad.minutes]] | [[1000.twentieth.bad.minutes]] | [[1000.all-at-once.bad.minutes]] |

A step of the planner with 1,000 cells takes [[1000.twentieth.step]], the simulation included.
"""

from __future__ import annotations

from voicehelper_bench.goals import Goal
from voicehelper_bench.plots import Plot

TITLE = "Fleets"
GOALS: tuple[Goal, ...] = (
    Goal("cells that a bad release reaches, of 1,000", "1000.twentieth.bad.cells", "<=", 1, source="issue 6"),
)
PLOTS: tuple[Plot, ...] = ()
