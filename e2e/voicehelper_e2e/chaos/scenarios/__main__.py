"""``python -m voicehelper_e2e.chaos.scenarios NAME...``: plays scenarios on a platform of its own (docs/chaos.md).

VOICEHELPER_TEST_HOME names a platform that runs already (clock-jump needs one that was started under faketime).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from voicehelper_embedded.throwaway import throwaway

from voicehelper_e2e.chaos import campaign
from voicehelper_e2e.chaos.ledger import Ledger
from voicehelper_e2e.chaos.platform import FiredOn
from voicehelper_e2e.chaos.scenarios import SCENARIOS
from voicehelper_e2e.chaos.scenarios.play import play
from voicehelper_e2e.chaos.scenarios.stage import Verdict

_BEGUN = time.monotonic()


def say(text: str) -> None:
    """Progress, with the seconds since the start."""
    print(f"{time.monotonic() - _BEGUN:7.1f}  {text}", flush=True)


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="voicehelper_e2e.chaos.scenarios", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SCENARIOS)}; none: all")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same choices (1)")
    parser.add_argument("--fast", action="store_true", help="shorter times: 10 s frozen, 60 s without control plane")
    parser.add_argument("--only", default="", help="one component of `frozen`, one store of `disk-full`")
    parser.add_argument("--report", type=Path, help="write the verdicts there as lines of JSON")
    options = parser.parse_args(arguments)
    if strange := [name for name in options.names if name not in SCENARIOS]:
        parser.error(f"no scenario '{strange[0]}': there are {', '.join(SCENARIOS)}")
    options.names = options.names or list(SCENARIOS)
    return options


async def _all(fired: FiredOn, names: list[str], options: argparse.Namespace) -> list[Verdict]:
    tenants, ledger, found = await campaign.found(fired), Ledger(), []
    for name in names:
        say(f"{name} begins")
        how = {"seed": options.seed, "fast": options.fast, "only": options.only}
        found.append(await play(name, fired, tenants, **how, ledger=ledger, say=say))
        say(found[-1].text)
    return found


def verdicts(options: argparse.Namespace) -> list[Verdict]:
    """Play them: those that need a platform of their own kind get one."""
    found: list[Verdict] = []
    common = [name for name in options.names if SCENARIOS[name].environment is None]
    if common:
        with throwaway("vh-scenarios", examples=False, faults=True) as platform:
            found += asyncio.run(_all(FiredOn(platform), common, options))
    for name in options.names:
        special = SCENARIOS[name].environment
        if special is None:
            continue
        with tempfile.TemporaryDirectory(prefix="vh-scenarios-") as folder:
            Path(folder).chmod(0o755)
            with throwaway("vh-scenarios", environment=special(Path(folder)), examples=False, faults=True) as platform:
                found += asyncio.run(_all(FiredOn(platform), [name], options))
    return found


def line(verdict: Verdict) -> str:
    """For programs."""
    figures = {"scenario": verdict.name, "seed": verdict.seed, "passed": verdict.passed, "facts": verdict.facts}
    wrong = [*verdict.problems, *map(str, verdict.findings)]
    return json.dumps({**figures, "problems": wrong, "seconds": round(verdict.seconds, 1)})


def main() -> int:
    """0 where every promise was kept."""
    options = parsed()
    found = verdicts(options)
    if options.report:
        options.report.write_text("".join(f"{line(one)}\n" for one in found))
    for one in found:
        print(one.text)
    return 0 if all(one.passed for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
