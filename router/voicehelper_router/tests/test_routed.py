"""The router of the whole platform."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.integration


def get(platform: Any, path: str, *, tenant: str | None = None, token: str | None = None) -> httpx.Response:
    headers = {"X-Tenant-ID": tenant} if tenant else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return httpx.get(f"{platform.router}{path}", headers=headers, timeout=30, trust_env=False)


def test_each_tenant_reaches_its_cell(platform: Any) -> None:
    for tenant in ("acme", "globex"):
        response = get(platform, "/api/v1/conversations", tenant=tenant, token=platform.token(tenant))
        assert response.status_code == 200, response.text


def test_token_of_another_tenant(platform: Any) -> None:
    response = get(platform, "/api/v1/conversations", tenant="globex", token=platform.token("acme"))
    assert response.status_code == 403
    assert response.headers["content-type"] == "application/problem+json"


def test_no_token(platform: Any) -> None:
    assert get(platform, "/api/v1/conversations", tenant="acme").status_code == 401


def test_no_tenant(platform: Any) -> None:
    assert get(platform, "/api/v1/conversations", token=platform.token("acme")).status_code == 403
    assert get(platform, "/api/v1/conversations", token=platform.token(None)).status_code == 404


def test_tenant_that_never_was(platform: Any) -> None:
    assert get(platform, "/api/v1/conversations", tenant="nobody", token=platform.token("acme")).status_code == 403


def test_discovery_and_health_need_nothing(platform: Any) -> None:
    assert get(platform, "/healthz").text == "ok\n"
    assert get(platform, "/.well-known/openid-configuration").json()["issuer"]
    assert get(platform, "/.well-known/jwks.json").json()["keys"]


def test_use_of_cells_is_told_and_probes_are_not_in_it(platform: Any) -> None:
    def requests() -> dict[str, int]:
        url = f"http://127.0.0.1:{platform.ports['xds-http']}/cells/activity"
        answer = httpx.get(url, timeout=30, trust_env=False)
        assert answer.status_code == 200, answer.text
        return {cell: use["requests"] for cell, use in answer.json()["cells"].items()}

    time.sleep(3)  # longer than figures are kept
    before = requests()
    for _ in range(5):
        assert get(platform, "/api/v1/conversations", tenant="acme", token=platform.token("acme")).status_code == 200
        get(platform, "/api/v1/probe", tenant="acme", token=platform.token("acme"))
    time.sleep(3)
    after = requests()
    assert sorted(after[cell] - before[cell] for cell in before) == [0] * (len(before) - 1) + [5]
