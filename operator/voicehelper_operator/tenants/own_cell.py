"""The manifest of a cell that is made for one tenant. Pure."""

from __future__ import annotations

from typing import Any

from voicehelper_crds import API_VERSION, Tenant, TenantPlan

from voicehelper_operator.tenants.placement import region_of


def manifest(tenant: Tenant, plan: TenantPlan, *, name: str = "", region: str | None = None) -> dict[str, Any]:
    """Under the tenant's name and in its region, unless others are given."""
    where = region or region_of(tenant)
    return {
        "apiVersion": API_VERSION,
        "kind": "Cell",
        "metadata": {
            "name": name or tenant.metadata.name,
            "ownerReferences": [{"kind": "Tenant", "name": tenant.metadata.name, "uid": tenant.metadata.uid}],
        },
        "spec": {
            "tenancy": "dedicated",
            "classRef": plan.spec.cell_class,
            "deletion": {"policy": tenant.spec.deletion.policy},
            **({"region": where} if where else {}),
        },
    }
