"""Plays several scenarios on platforms of their own, or on that of ``VOICEHELPER_TEST_HOME``.

``clock-jump`` needs one that was started under faketime.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from voicehelper_embedded.throwaway import throwaway

from voicehelper_e2e.chaos import campaign
from voicehelper_e2e.chaos.ledger import Ledger
from voicehelper_e2e.chaos.platform import FiredOn
from voicehelper_e2e.chaos.scenarios import SCENARIOS
from voicehelper_e2e.chaos.scenarios.play import play
from voicehelper_e2e.chaos.scenarios.stage import Verdict


def chosen(names: Sequence[str]) -> list[str]:
    """Those scenarios, or all for ``all``. Raises ValueError for one that does not exist."""
    if strange := [name for name in names if name not in (*SCENARIOS, "all")]:
        raise ValueError(f"no scenario '{strange[0]}': there are {', '.join(SCENARIOS)}")
    return list(SCENARIOS) if "all" in names else list(names)


@dataclass(frozen=True, slots=True)
class Series:
    """``only`` is a part of a scenario, ``fast`` means shorter times."""

    seed: int
    fast: bool
    only: str
    say: Callable[[str], None]

    def play(self, names: Sequence[str]) -> list[Verdict]:
        """Those that need a platform of their own kind get one, the others share one."""
        found: list[Verdict] = []
        common = [name for name in names if SCENARIOS[name].environment is None]
        if common:
            with throwaway("vh-scenarios", examples=False, faults=True) as platform:
                found += asyncio.run(self._on(FiredOn(platform), common))
        for name in names:
            special = SCENARIOS[name].environment
            if special is None:
                continue
            with tempfile.TemporaryDirectory(prefix="vh-scenarios-") as folder:
                Path(folder).chmod(0o755)
                own = special(Path(folder))
                with throwaway("vh-scenarios", environment=own, examples=False, faults=True) as platform:
                    found += asyncio.run(self._on(FiredOn(platform), [name]))
        return found

    async def _on(self, fired: FiredOn, names: Sequence[str]) -> list[Verdict]:
        tenants, ledger, found = await campaign.found(fired), Ledger(), []
        for name in names:
            self.say(f"{name} begins")
            verdict = await play(
                name, fired, tenants, seed=self.seed, fast=self.fast, only=self.only, ledger=ledger, say=self.say
            )
            self.say(verdict.text)
            found.append(verdict)
        return found
