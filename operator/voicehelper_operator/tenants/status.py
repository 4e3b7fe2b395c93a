"""What to report of a tenant. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from voicehelper_crds import Condition, Tenant, TenantStatus, holds

from voicehelper_operator.engine import pause
from voicehelper_operator.engine.conditions import Judgement, merged, no, yes
from voicehelper_operator.engine.pause import Pause
from voicehelper_operator.slices.attempts import described
from voicehelper_operator.tenants.apply import Outcome
from voicehelper_operator.tenants.observe import Observation
from voicehelper_operator.tenants.placement import NotPlaced, Placed
from voicehelper_operator.tenants.plan import ARCHIVED, Plan, archive_missing

CANARY_ANSWERS = "CanaryAnswers"
"""Condition that is there while another release is tried in the tenant's cell; its message is that release."""
_MAY_FAIL_LATER = ("SlicesReady", "IdentityReady")
"""What a route needs before it is made; a store or identity that is away for a while does not end it later."""


def judge(seen: Observation, planned: Plan, outcome: Outcome) -> list[Judgement]:
    """The conditions, each with what to do when it does not hold."""
    tenant = seen.tenant
    suspended = tenant.spec.suspended
    first = [
        yes("Suspended", "SpecSuspended", "spec.suspended is true: requests are answered with 403")
        if suspended
        else no("Suspended", "NotSuspended")
    ]
    if tenant.metadata.deletion_timestamp is not None:
        message = f"the tenant is being removed by its deletion policy {tenant.spec.deletion.policy}"
        if outcome.slice_problems:
            message = f"{message}; what is in the way: {described(outcome.slice_problems)}"
        elif planned.waiting:
            message = f"{message}; {planned.waiting}"
        return [no("Routable", "Deleting", message), no("Ready", "Deleting", message), *_archived(seen, outcome)]
    if planned.refusal:
        return [*first, no("Accepted", *planned.refusal), no("Ready", *planned.refusal)]
    chain = [yes("Accepted", "Valid"), _placed(planned), _slices(planned, outcome), _identity(outcome)]
    chain.append(_routable(seen, chain))
    chain.append(_ready(seen, chain, outcome, suspended=suspended))
    return [*first, *chain]


def _archived(seen: Observation, outcome: Outcome) -> list[Judgement]:
    """Only what is new: an archive that is there stays said."""
    if outcome.archived is not None:
        return [yes(ARCHIVED, "Verified", str(outcome.archived))]
    if not archive_missing(seen.tenant):
        return []
    if outcome.slice_problems:
        return [no(ARCHIVED, "ArchiveFailed", described(outcome.slice_problems))]
    return [no(ARCHIVED, "Archiving", "nothing is removed before the archive was read back and compared")]


def archive(tenant: Tenant) -> str:
    """Where the archive of a tenant that goes is; empty where there is none."""
    return next((i.message for i in tenant.status.conditions if i.type == ARCHIVED and i.status == "True"), "")


def _placed(planned: Plan) -> Judgement:
    match planned.decision:
        case Placed(reason=reason, cell=cell):
            return yes("Placed", "CellChosen", f"{cell}: {reason}")
        case NotPlaced(reason=reason, message=message):
            return no("Placed", reason, message)
        case _:
            return no("Placed", "CellCreated", "the tenant's own cell is being made")


def _slices(planned: Plan, outcome: Outcome) -> Judgement:
    if outcome.slice_problems:
        return no("SlicesReady", "SliceFailed", described(outcome.slice_problems))
    if not outcome.slices_done:
        return no("SlicesReady", "Pending", planned.waiting or "waits for a cell")
    return yes("SlicesReady", "AllThere")


def _identity(outcome: Outcome) -> Judgement:
    if outcome.identity_problem:
        return no("IdentityReady", "IdentityUnavailable", outcome.identity_problem)
    if outcome.admin is None:
        return no("IdentityReady", "Pending", "the admin has not been made yet")
    if not outcome.admin.ready:
        return no("IdentityReady", "AdminCannotLogIn", outcome.admin.message)
    return yes("IdentityReady", "AdminCanLogIn")


def _routable(seen: Observation, chain: list[Judgement]) -> Judgement:
    """A route that was made is kept while its cell has an address: a slow answer must not become nobody's answer."""
    cell = seen.cell
    reachable = cell is not None and bool(cell.status.endpoints.http) and not cell.spec.hibernate
    routed = reachable and holds(seen.tenant.status.conditions, "Routable")
    broken = next((item for item in chain if item.status != "True"), None)
    if broken is not None:
        if routed and broken.type in _MAY_FAIL_LATER:
            return yes("Routable", "RouteKept", f"{broken.type} does not hold any more; what runs goes on")
        return no("Routable", broken.reason, broken.message)
    if cell is not None and cell.status.hibernation == "Idle":
        return yes("Routable", "Asleep", "the cell sleeps: the first request wakes it")
    if cell is not None and reachable and holds(cell.status.conditions, "WorkloadReady"):
        return yes("Routable", "RouteToCell")
    if routed:
        return yes("Routable", "RouteKept", "the cell's workload does not answer now; it is reached as soon as it does")
    return no("Routable", "CellNotUp", "the cell's workload does not answer yet")


def _ready(seen: Observation, chain: list[Judgement], outcome: Outcome, *, suspended: bool) -> Judgement:
    broken = next((item for item in chain if item.status != "True"), None)
    if broken is not None:
        return no("Ready", broken.reason, broken.message)
    if suspended:
        return no("Ready", "Suspended", "spec.suspended is true")
    if seen.tenant.status.held_by is not None:
        return yes("Ready", "Moving", f"requests wait for a moment, for move '{seen.tenant.status.held_by}'")
    if not outcome.probe_done and asleep(seen):
        return yes("Ready", "Asleep", "it answered before its cell fell asleep; the first request wakes it")
    if not outcome.probe_done:
        return no("Ready", "ProbePending", "the route is being probed")
    return _probed(outcome)


def _canary(outcome: Outcome) -> list[Judgement]:
    """Of what is tried beside what serves: the tenant is ready without it."""
    if not outcome.canary:
        return []
    if outcome.canary_probed:
        return [no(CANARY_ANSWERS, "ProbeFailed", f"release {outcome.canary}: {outcome.canary_probed}")]
    return [yes(CANARY_ANSWERS, "ProbeAnswered", outcome.canary)]


def _kept(seen: Observation, conditions: Iterable[Condition]) -> list[Condition]:
    """Without what speaks of a release that is not tried any more."""
    tried = seen.cell is not None and seen.cell.status.canary is not None and seen.cell.status.canary.ready
    return [item for item in conditions if tried or item.type != CANARY_ANSWERS]


def _probed(outcome: Outcome) -> Judgement:
    return no("Ready", "ProbeFailed", outcome.probed) if outcome.probed else yes("Ready", "ProbeAnswered")


def asleep(seen: Observation) -> bool:
    """Whether the cell sleeps until it is asked, and the tenant's route was proved for what is wanted now."""
    tenant, cell = seen.tenant, seen.cell
    proved = holds(tenant.status.conditions, "Ready", tenant.metadata.generation or 0)
    return cell is not None and cell.status.hibernation == "Idle" and proved


def status(seen: Observation, planned: Plan, outcome: Outcome, endpoint: str) -> TenantStatus:
    """The whole status."""
    tenant = seen.tenant
    old, generation = tenant.status, tenant.metadata.generation or 0
    new = old.model_copy(deep=True)
    judgements = [*judge(seen, planned, outcome), *_canary(outcome), *pause.ended(old.conditions)]
    new.conditions = merged(_kept(seen, old.conditions), judgements, generation)
    new.observed_generation = generation
    if isinstance(planned.decision, Placed) and old.cell_id:
        new.endpoint = endpoint
    if outcome.admin is not None:
        new.usage = new.usage.model_copy(update={"users": outcome.admin.users})
    new.phase = _phase(seen, new, planned)
    return new


def paused(seen: Observation, why: Pause, outcome: Outcome) -> TenantStatus:
    """What was looked at, and since when nothing is changed; all else, the route included, is as it was."""
    tenant = seen.tenant
    old = tenant.status
    looked = [_slices(Plan(()), outcome)] if outcome.slices_done or outcome.slice_problems else []
    if outcome.probe_done:
        looked.append(_probed(outcome))
    new = old.model_copy(deep=True)
    new.conditions = pause.judged(old.conditions, looked, why, old.observed_generation, tenant.metadata.generation or 0)
    new.phase = pause.PHASE
    return new


def _phase(seen: Observation, new: TenantStatus, planned: Plan) -> str:
    if seen.tenant.metadata.deletion_timestamp is not None:
        return "Deleting"
    if seen.tenant.spec.suspended:
        return "Suspended"
    if holds(new.conditions, "Ready"):
        return "Ready"
    if planned.refusal:
        return "Refused"
    return "Pending" if isinstance(planned.decision, NotPlaced) else "Provisioning"
