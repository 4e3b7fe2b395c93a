"""Which writes of resources a real API server takes, and from whom."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from voicehelper_core import errors, kubernetes_api
from voicehelper_core.kubernetes_api.kinds import OURS
from voicehelper_crds import Condition, Tenant, TenantStatus

pytestmark = pytest.mark.integration


async def test_fields_of_others_are_not_fought_over(api, api_server, tenant):
    store = kubernetes_api.KubernetesResourceStore(api)
    await store.apply(tenant(displayName="Ours"))
    api_server.kubectl(
        "apply", "--server-side", "--field-manager=people", "--force-conflicts", "-f",
        _file(api_server, tenant(displayName="Theirs")),
    )  # fmt: skip
    with pytest.raises(errors.Conflict) as conflict:
        await store.apply(tenant(displayName="Ours again"))
    assert conflict.value.extra["fields"] == [".spec.displayName"]
    assert "people" in conflict.value.detail
    assert (await store.get(Tenant, "acme")).spec.display_name == "Theirs"


def _file(api_server, manifest):
    path = api_server.kubeconfig.parent / "manifest.json"
    path.write_text(json.dumps(manifest))
    return str(path)


@pytest.mark.parametrize(
    ("change", "path", "reason"),
    [
        ({"spec": {"tenancy": "dedicated"}}, "spec.tenancy", "for life"),
        ({"spec": {"capacity": 0}}, "spec.capacity", "greater than or equal to 1"),
        ({"spec": {"idleAfterSeconds": 3}}, "spec.idleAfterSeconds", "greater than or equal to 10"),
    ],
)
async def test_the_api_server_refuses_what_we_refuse(api, kubernetes_store, change, path, reason):
    """Written past our own validation: the generated CRDs hold by themselves."""
    await kubernetes_store.apply({"apiVersion": "voicehelper.io/v1alpha1", "kind": "Cell", "metadata": {"name": "c1"}})
    with pytest.raises(errors.InvalidArgument) as refused:
        await api.merge(OURS["Cell"], "c1", change, manager="somebody")
    (problem,) = [item for item in refused.value.extra["errors"] if item["path"].startswith(path)]
    assert reason in problem["reason"]


async def test_unknown_fields_are_refused(api):
    manifest = {
        "apiVersion": "voicehelper.io/v1alpha1",
        "kind": "Cell",
        "metadata": {"name": "c1"},
        "spec": {"tenanzy": "shared"},
    }
    with pytest.raises(errors.InvalidArgument, match="tenanzy"):
        await api.create(manifest, manager="somebody")


async def test_a_status_is_replaced_as_a_whole(api, kubernetes_store, tenant):
    await kubernetes_store.apply(tenant())
    at = datetime(2026, 1, 1, tzinfo=UTC)

    def condition(kind):
        return Condition(type=kind, status="True", reason="Probe", message="", last_transition_time=at)

    await kubernetes_store.update_status(
        Tenant, "acme", TenantStatus(cell="c1", conditions=[condition("Ready"), condition("Old")])
    )
    await kubernetes_store.update_status(Tenant, "acme", TenantStatus(conditions=[condition("Ready")]))
    kept = (await kubernetes_store.get(Tenant, "acme")).status
    assert kept.cell is None
    assert [item.type for item in kept.conditions] == ["Ready"]
