"""How long components were away: from the kill until another process serves, by component."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median


@dataclass(slots=True)
class Recoveries:
    """Seconds by component; waits poll every 0.3 s, so a figure is that much too large at most."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    unreturned: list[str] = field(default_factory=list)

    def add(self, component: str, seconds: float) -> None:
        """A component serves again."""
        self.seconds[component].append(round(seconds, 2))

    @property
    def kills(self) -> int:
        """Processes that were killed."""
        return sum(map(len, self.seconds.values())) + len(self.unreturned)

    def lines(self) -> Iterable[str]:
        """A line of JSON for each component."""
        for name, values in sorted(self.seconds.items()):
            figures = {"kills": len(values), "p50": round(median(values), 2), "max": max(values), "unit": "s"}
            yield json.dumps({"chaos": "recovery", "component": name, **figures})

    def table(self) -> str:
        """The same for people."""
        rows = [("component", "kills", "P50 s", "max s")]
        rows += [
            (name, str(len(values)), f"{median(values):.1f}", f"{max(values):.1f}")
            for name, values in sorted(self.seconds.items())
        ]
        return "\n".join(f"  {a:<18}{b:>6}{c:>9}{d:>9}" for a, b, c, d in rows)
