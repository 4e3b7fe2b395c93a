"""The annotation that keeps the operator from changing anything for a resource, and what conditions say meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from voicehelper_core.resource_rules import is_paused
from voicehelper_crds import PAUSED, Cell, Condition, Tenant

from voicehelper_operator.engine.conditions import Judgement, merged, no, yes

CONDITION = "Paused"
"""There from the first pause on; its transition time tells since when."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Why nothing is changed."""

    reason: str
    message: str


def of(resource: Cell | Tenant, home: Cell | Tenant | None) -> Pause | None:
    """A cell rests with the tenant that it was made for, and a tenant with the cell that it lives in (``home``)."""
    until = f"nothing is changed until the annotation {PAUSED} is taken off"
    waits = "; its deletion waits as well" if resource.metadata.deletion_timestamp else ""
    if is_paused(resource):
        return Pause("Annotated", f"{until}{waits}")
    if home is not None and is_paused(home):
        kind = home.kind_name
        return Pause(f"{kind}Paused", f"{until} {kind.lower()} '{home.metadata.name}'{waits}")
    return None


def ended(conditions: Iterable[Condition]) -> list[Judgement]:
    """What to say of a resource that is not paused: nothing where it never was."""
    return [no(CONDITION, "NotPaused")] if any(item.type == CONDITION for item in conditions) else []


def judged(
    old: Iterable[Condition], looked: Iterable[Judgement], pause: Pause, observed: int, generation: int
) -> list[Condition]:
    """All conditions: what was looked at speaks of the generation that was ``observed`` last, the others stay."""
    known: dict[str, Condition | Judgement] = {item.type: item for item in old}
    judgements = {item.type: item for item in looked}
    known |= judgements
    broken = next((item for kind in _NEEDED if (item := known.get(kind)) and item.status != "True"), None)
    if broken is not None:
        judgements["Ready"] = no("Ready", broken.reason, broken.message)
    elif "Ready" not in known:
        judgements["Ready"] = no("Ready", "Paused", pause.message)
    return merged(merged(old, judgements.values(), observed), [yes(CONDITION, pause.reason, pause.message)], generation)


_NEEDED = ("Accepted", "Placed", "SlicesReady", "Migrated", "IdentityReady", "Routable", "WorkloadReady")
PHASE = "Paused"
"""For people, in tables."""
