"""How resources look to people: one table a kind, and the long description."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from voicehelper_core.ports import Event
from voicehelper_crds import API_VERSION
from voicehelper_crds.models import (
    Cell,
    CellClass,
    CellRelease,
    CellReleaseStrategy,
    Resource,
    Tenant,
    TenantMove,
    TenantPlan,
)

from voicehelper_cli.kinds import AnyKind
from voicehelper_cli.output import age, table
from voicehelper_cli.resources import condition

Get = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a kind's table; ``wide`` ones only with ``-o wide``."""

    title: str
    value: Get
    wide: bool = False


def _ready(resource: Any) -> str:
    found = condition(resource, "Ready")
    return found.status if found is not None else "Unknown"


def _progress(resource: Any) -> str | None:
    found = condition(resource, "Progressing")
    return found.message if found is not None else None


_NAME = Column("NAME", lambda r: r.metadata.name)
_AGE = Column("AGE", lambda r: age(r.metadata.creation_timestamp))
_COLUMNS: dict[AnyKind, tuple[Column, ...]] = {
    Tenant: (
        _NAME,
        Column("PLAN", lambda r: r.spec.plan_ref),
        Column("CELL", lambda r: r.status.cell),
        Column("READY", _ready),
        Column("PHASE", lambda r: r.status.phase),
        _AGE,
        Column("TENANT-ID", lambda r: r.status.tenant_id, wide=True),
        Column("USERS", lambda r: r.status.usage.users, wide=True),
        Column("ENDPOINT", lambda r: r.status.endpoint, wide=True),
        Column("PLACEMENT", lambda r: r.status.placement_reason, wide=True),
    ),
    TenantPlan: (
        _NAME,
        Column("ISOLATION", lambda r: r.spec.isolation),
        Column("USERS", lambda r: r.spec.quota.users),
        Column("DOCUMENTS", lambda r: r.spec.quota.documents),
        Column("TOKENS/DAY", lambda r: r.spec.quota.tokens_per_day),
        _AGE,
        Column("CELL-CLASS", lambda r: r.spec.cell_class, wide=True),
        Column("MODELS", lambda r: ",".join(r.spec.allowed_models), wide=True),
    ),
    Cell: (
        _NAME,
        Column("TENANCY", lambda r: r.spec.tenancy),
        Column("TENANTS", lambda r: f"{r.status.tenants}/{r.spec.capacity}"),
        Column("READY", _ready),
        Column("PHASE", lambda r: r.status.phase),
        _AGE,
        Column("CELL-ID", lambda r: r.status.cell_id, wide=True),
        Column("RELEASE", lambda r: r.status.release, wide=True),
        Column("SCHEMA", lambda r: r.status.schema_revision, wide=True),
        Column("HTTP", lambda r: r.status.endpoints.http, wide=True),
    ),
    CellRelease: (
        _NAME,
        Column("RELEASE", lambda r: r.spec.release),
        Column("STATE", lambda r: r.spec.state),
        Column("PHASE", lambda r: r.status.phase),
        Column("PROGRESS", _progress),
        _AGE,
    ),
    TenantMove: (
        _NAME,
        Column("TENANT", lambda r: r.spec.tenant),
        Column("FROM", lambda r: r.status.source and r.status.source.cell),
        Column("TO", lambda r: r.status.target and r.status.target.cell),
        Column("PHASE", lambda r: r.status.phase),
        Column("MESSAGE", lambda r: r.status.message),
        _AGE,
        Column("LAG", lambda r: r.status.lag, wide=True),
        Column("PAUSE", lambda r: r.status.pause_seconds, wide=True),
    ),
    CellReleaseStrategy: (
        _NAME,
        Column("WAVES", lambda r: ",".join(wave.name for wave in r.spec.waves) or "shipped"),
        Column("ON-FAILURE", lambda r: r.spec.failure_policy.on_failure),
        Column("SCOPE", lambda r: r.spec.failure_policy.scope),
        Column("MAX-FAILED", lambda r: r.spec.failure_policy.max_failed_cells),
        _AGE,
    ),
    CellClass: (
        _NAME,
        Column("CPU", lambda r: r.spec.cpu),
        Column("MEMORY", lambda r: r.spec.memory),
        Column("CONNECTIONS", lambda r: r.spec.postgres_connections),
        Column("REPLICAS", lambda r: r.spec.replicas),
        _AGE,
    ),
}


def resource_table(kind: AnyKind, items: Sequence[Any], *, wide: bool = False) -> str:
    """The table of a kind."""
    columns = [column for column in _COLUMNS[kind] if wide or not column.wide]
    return table([column.title for column in columns], ([column.value(item) for column in columns] for item in items))


def document(resource: Resource) -> dict[str, Any]:
    """A resource as the Kubernetes API would show it: apiVersion, kind, metadata, spec, status."""
    found = resource.model_dump(mode="json", by_alias=True, exclude_none=True)
    first = ("apiVersion", "kind", "metadata", "spec", "status")
    return {key: found[key] for key in first if key in found}


def listing(kind: AnyKind, items: Sequence[Any]) -> dict[str, Any]:
    """A list as the Kubernetes API would show it."""
    return {
        "apiVersion": API_VERSION,
        "kind": f"{kind.kind_name}List",
        "metadata": {},
        "items": [document(item) for item in items],
    }


def description(resource: Any, events: Sequence[Event]) -> str:
    """Metadata, spec, status, conditions and events, for reading."""
    import yaml

    found = document(resource)
    status = dict(found.get("status") or {})
    conditions = status.pop("conditions", [])
    metadata = resource.metadata
    head = {
        "Name": metadata.name,
        "Kind": resource.kind_name,
        "Generation": metadata.generation,
        "Created": metadata.creation_timestamp.isoformat() if metadata.creation_timestamp else None,
        "Deleting since": metadata.deletion_timestamp.isoformat() if metadata.deletion_timestamp else None,
        "Labels": metadata.labels or None,
        "Annotations": metadata.annotations or None,
        "Finalizers": metadata.finalizers or None,
        "Spec": found.get("spec") or None,
        "Status": status or None,
    }
    shown = {key: value for key, value in head.items() if value is not None}
    parts = [yaml.safe_dump(shown, sort_keys=False, allow_unicode=True).rstrip()]
    if conditions:
        rows = [[c["type"], c["status"], c["reason"], c.get("message"), c["lastTransitionTime"]] for c in conditions]
        parts.append("Conditions:\n" + _indented(table(["TYPE", "STATUS", "REASON", "MESSAGE", "SINCE"], rows)))
    if events:
        rows = [[e.last_seen, e.type, e.reason, e.count, e.message] for e in events]
        parts.append("Events:\n" + _indented(table(["LAST SEEN", "TYPE", "REASON", "COUNT", "MESSAGE"], rows)))
    else:
        parts.append("Events: none")
    return "\n".join(parts)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
