"""Fires on a platform of its own: ``python -m voicehelper_e2e.chaos --seed N`` (docs/chaos.md).

VOICEHELPER_TEST_HOME names a platform that runs already and was started with VOICEHELPER_FAULT_FOLDER=<home>/faults.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from voicehelper_core.fault_points import POINTS
from voicehelper_embedded.throwaway import Platform, throwaway

from voicehelper_e2e.chaos import campaign, report
from voicehelper_e2e.chaos.lanes import lanes
from voicehelper_e2e.chaos.platform import FiredOn
from voicehelper_e2e.chaos.scenarios import series
from voicehelper_e2e.chaos.scenarios.stage import Verdict
from voicehelper_e2e.chaos.schedule import TARGETS, Schedule, draw

_BEGUN = time.monotonic()


def say(text: str) -> None:
    """Progress, with the seconds since the start."""
    print(f"{time.monotonic() - _BEGUN:7.1f}  {text}", flush=True)


def planned(arguments: argparse.Namespace) -> Schedule:
    """The schedule that the arguments ask for. Raises ValueError."""
    only = [item for item in (arguments.only or "").split(",") if item]
    strange = [i for i in only if i not in TARGETS and not any(p.startswith(i) for p in POINTS) and i != "points"]
    if strange:
        raise ValueError(f"--only {strange[0]}: neither one of {', '.join(TARGETS)} nor the beginning of a fault point")
    targets = [name for name in TARGETS if not only or name in only]
    chosen = {
        lane: [p for p in points if not only or "points" in only or any(p.startswith(i) for i in only)]
        for lane, points in lanes().items()
    }
    return draw(
        arguments.seed,
        kills=arguments.kills if targets else 0,
        targets=targets or TARGETS,
        lanes={} if arguments.no_points else {lane: points for lane, points in chosen.items() if points},
    )


async def fire(platform: Platform, schedule: Schedule, minutes: float) -> campaign.Outcome:
    """The whole campaign on a running platform."""
    fired = FiredOn(platform)
    say("founds the tenants")
    tenants = await campaign.found(fired)
    say("clients work")
    return await campaign.run(fired, schedule, tenants, minutes=minutes, say=say)


def parsed(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="voicehelper_e2e.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, required=True, help="the same seed gives the same schedule and choices")
    parser.add_argument("--kills", type=int, default=50, help="random kills, at least; all targets get as many (50)")
    parser.add_argument("--minutes", type=float, default=30, help="the strikes end then, done or not (30)")
    parser.add_argument("--only", help="targets and beginnings of fault points, by comma; 'points' for all points")
    parser.add_argument("--no-points", action="store_true", help="no fault points")
    parser.add_argument("--no-scenarios", action="store_true", help="kills only; so does --only without --scenario")
    parser.add_argument("--scenario", action="append", help="instead of kills, one of docs/chaos-scenarios.md; 'all'")
    parser.add_argument("--fast", action="store_true", help="shorter times of scenarios")
    parser.add_argument("--report", type=Path, help="write the lines of JSON there")
    arguments = parser.parse_args(given)
    asked = arguments.scenario or ([] if arguments.no_scenarios or arguments.only else ["all"])
    try:
        arguments.schedule = None if arguments.scenario else planned(arguments)
        arguments.scenarios = series.chosen(asked)
    except ValueError as error:
        parser.error(str(error))
    return arguments


def main() -> int:
    """0 where nothing was lost and everything was done."""
    arguments = parsed()
    outcome: campaign.Outcome | None = None
    verdicts: list[Verdict] = []
    if arguments.schedule:
        print(arguments.schedule.to_json(), flush=True)
        with throwaway("vh-chaos", examples=False, faults=True) as platform:
            outcome = asyncio.run(fire(platform, arguments.schedule, arguments.minutes))
        print(report.text(outcome), flush=True)
    if arguments.scenarios:
        how = series.Series(arguments.seed, arguments.fast, arguments.only or "", say)
        verdicts = how.play(arguments.scenarios)
    if arguments.report:
        lines = [*report.lines(outcome)] if outcome else []
        arguments.report.write_text("".join(f"{line}\n" for line in [*lines, *map(report.scenario_line, verdicts)]))
    if verdicts:
        print(*(verdict.text for verdict in verdicts), report.sentence(outcome, verdicts), sep="\n", flush=True)
    return 0 if all(one.passed for one in (outcome, *verdicts) if one) else 1


if __name__ == "__main__":
    sys.exit(main())
