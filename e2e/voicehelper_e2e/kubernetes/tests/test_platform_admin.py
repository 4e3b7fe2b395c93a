"""The platform's admin, who makes tenants without ``kubectl``: by identity's API, through the router."""

from __future__ import annotations

import httpx
import pytest

from voicehelper_e2e.kubernetes.people import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600), pytest.mark.enable_socket]
API, NAME = "/api/v1/identity", "vandelay"
SPEC = {"planRef": "team", "admin": {"email": "admin@vandelay.example"}, "deletion": {"policy": "Delete"}}


@pytest.fixture
def admin(people):
    """Whom the chart's Secret names."""
    known = people.installation.stores.platform.secrets
    body = {"tenant": "_public", "email": known["platform_admin_email"], "password": known["platform_admin_password"]}
    answer = httpx.post(
        f"{people.installation.router}{API}/login", headers={"X-Tenant-ID": "_public"}, json=body, trust_env=False
    )
    assert answer.status_code == 200, answer.text
    with people.installation.client("_public", answer.json()["access_token"]) as client:
        yield client


def test_a_tenant_is_made_changed_and_removed(admin, people):
    answer = admin.post(f"{API}/tenants", json={"name": NAME, "spec": SPEC})
    assert answer.status_code == 202, answer.text
    until(lambda: admin.get(f"{API}/tenants/{NAME}").json()["status"].get("phase") == "Ready", "it is ready", 120)
    assert NAME in {item["metadata"]["name"] for item in admin.get(f"{API}/tenants").json()["items"]}
    answer = admin.patch(f"{API}/tenants/{NAME}/quota", json={"users": 7})
    assert answer.status_code == 200, answer.text
    assert people.installation.get("tenant", NAME)["spec"]["quota"]["users"] == 7
    assert admin.delete(f"{API}/tenants/{NAME}").status_code == 202
    until(lambda: admin.get(f"{API}/tenants/{NAME}").status_code == 404, "it is gone", 120)


def test_cells_are_shown(admin):
    assert {"globex", "shared-1"} <= {item["metadata"]["name"] for item in admin.get(f"{API}/cells").json()["items"]}
    assert admin.get(f"{API}/cells/globex").json()["status"]["tenants"] == 1
