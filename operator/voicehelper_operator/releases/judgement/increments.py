"""What counters that may begin anew at any time have counted since they were last read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def increments(before: Sequence[float] | None, now: Sequence[float]) -> tuple[float, ...]:
    """By counter of one process, read at two times; the order of counters is the same in both.

    Where any of them fell, the process began anew, and all it counts now are increments: a counter of the same process
    that has meanwhile passed its old value would be wrong otherwise. So it is where their number changed. What was
    counted between the last reading and the end of the process is lost. Without a reading ``before`` nothing is known
    to be new: zeros. A NaN in either gives a NaN: such a reading is a broken query, and not to be kept as ``before``.
    """
    if before is None:
        return (0.0,) * len(now)
    if len(before) != len(now) or any(new < old for old, new in zip(before, now, strict=True)):
        return tuple(now)
    return tuple(new - old for old, new in zip(before, now, strict=True))


def summed_increments(
    before: Mapping[str, Sequence[float]], now: Mapping[str, Sequence[float]]
) -> tuple[float, ...] | None:
    """Over processes, by name (of the pod and of its start, so that no restart can hide); None without any process.

    A process that is only there ``now`` began in between: all it counted is new. One that is gone adds nothing.
    Raises ValueError where processes have different numbers of counters.
    """
    if not now:
        return None
    parts = [increments(before.get(name, (0.0,) * len(counters)), counters) for name, counters in now.items()]
    return tuple(sum(column) for column in zip(*parts, strict=True))
