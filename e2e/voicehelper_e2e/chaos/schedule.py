"""Everything that a campaign decides, drawn from its seed before it begins; no clock and no platform is asked."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from voicehelper_e2e.chaos.platform import COMPONENTS

CELLS = ("cell:shared", "cell:dedicated")
"""Stand for cells that the campaign's tenants live in."""
TARGETS = (*COMPONENTS, *CELLS)
_PAIRS = 0.15
"""Share of strikes that hit two at once."""
Act = Literal["upload", "replace", "delete"]


@dataclass(frozen=True, slots=True)
class Strike:
    """After a pause (seconds since the last strike's victims are back), kill the targets at once."""

    pause: float
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Schedule:
    """The whole plan of a campaign; ``lanes`` are fault points, armed one after the other in each lane."""

    seed: int
    strikes: tuple[Strike, ...]
    lanes: Mapping[str, tuple[str, ...]]

    def to_json(self) -> str:
        """One line; the same seed and arguments give the same line."""
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def kills(self) -> int:
        """Processes that the strikes kill."""
        return sum(len(strike.targets) for strike in self.strikes)


def draw(
    seed: int, *, kills: int, targets: Sequence[str] = TARGETS, lanes: Mapping[str, Sequence[str]] | None = None
) -> Schedule:
    """The plan of a seed: at least ``kills`` kills, spread evenly; fewer than there are targets hit different ones."""
    chance = random.Random(f"{seed}:strikes")
    if kills >= len(targets):
        bag = list(targets) * math.ceil(kills / len(targets))
    else:
        bag = chance.sample(list(targets), kills)
    chance.shuffle(bag)
    strikes: list[Strike] = []
    while bag:
        first = bag.pop()
        others = [name for name in bag if name != first]
        both = (first, chance.choice(others)) if others and chance.random() < _PAIRS else (first,)
        for name in both[1:]:
            bag.remove(name)
        strikes.append(Strike(round(chance.uniform(0.2, 2.5), 2), both))
    ordered = {lane: _shuffled(seed, lane, points) for lane, points in sorted((lanes or {}).items())}
    return Schedule(seed, tuple(strikes), ordered)


def _shuffled(seed: int, lane: str, points: Sequence[str]) -> tuple[str, ...]:
    listed = list(points)
    random.Random(f"{seed}:lane:{lane}").shuffle(listed)
    return tuple(listed)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a client does next: ``token`` makes its text unique, ``pick`` in [0, 1) chooses among what there is."""

    number: int
    pause: float
    act: Act
    token: str
    pick: float


def choices(seed: int, client: str, *, pause: tuple[float, float] = (0.1, 0.8)) -> Iterator[Choice]:
    """The endless list of a client's choices; how far the client gets depends on the platform."""
    chance = random.Random(f"{seed}:client:{client}")
    number = 0
    while True:
        act: Act = chance.choices(("upload", "replace", "delete"), (0.6, 0.2, 0.2))[0]
        token = "".join(chance.choices("bcdfghjklmnpqrstvwxz", k=12))
        yield Choice(number, round(chance.uniform(*pause), 3), act, token, chance.random())
        number += 1
