"""kopf is the admission server and nothing else."""

from __future__ import annotations

import asyncio
import json

import pytest
from voicehelper_core.kubernetes_api.kinds import OURS
from voicehelper_e2e.admission.tests.harness import ACCOUNT, manifest, tenant, until_asked

pytestmark = pytest.mark.integration


async def test_nothing_is_written_but_the_webhook_configuration_and_the_certificates(cluster, api, operators):
    """By the API server's audit log of the operator's account, over starts, requests, refusals and ends."""
    before = len(cluster.audit())
    for _ in range(2):
        operator = await operators()
        await until_asked(api, operator)
        await cluster.apply(manifest("TenantPlan", "team"))
        for number in range(20):
            await api.create(tenant(f"t{number}"), manager="test")
        await asyncio.gather(
            *(api.merge(OURS["Tenant"], f"t{n}", {"spec": {"suspended": True}}, manager="test") for n in range(20))
        )
        await asyncio.gather(*(api.delete(OURS["Tenant"], f"t{n}") for n in range(20)))
        await operator.end()
    await asyncio.sleep(0.5)
    asked = [item for item in cluster.audit()[before:] if item["user"]["username"] == ACCOUNT]
    verbs: dict[tuple[str, str], int] = {}
    for item in asked:
        what = item.get("objectRef", {}).get("resource") or item["requestURI"].partition("?")[0]
        verbs[item["verb"], what] = verbs.get((item["verb"], what), 0) + 1
    print({f"{verb} {what}": count for (verb, what), count in sorted(verbs.items())})
    written = {key: count for key, count in verbs.items() if key[0] not in ("get", "list", "watch")}
    assert set(written) <= {
        ("patch", "validatingwebhookconfigurations"),
        ("create", "secrets"),
        ("create", "selfsubjectreviews"),  # asks who it is; nothing is kept
    }
    assert written["patch", "validatingwebhookconfigurations"] <= 2
    by_kopf = [item for item in asked if item["userAgent"].startswith("kopf")]
    assert by_kopf, "its requests can be told from ours"
    assert {item["verb"] for item in by_kopf} == {"get"}
    assert {item["requestURI"].partition("?")[0] for item in by_kopf} <= {
        "/api", "/api/v1", "/apis", "/apis/voicehelper.io/v1alpha1", "/apis/apiextensions.k8s.io/v1",
        "/apis/events.k8s.io/v1", "/apis/admissionregistration.k8s.io/v1", "/apis/kopf.dev/v1", "/apis/zalando.org/v1",
    }, "it looks which kinds there are, and at no object"  # fmt: skip
    watched = {item["objectRef"]["resource"] for item in asked if item["verb"] == "watch"}
    assert watched == {
        "tenants",
        "cells",
        "tenantplans",
        "cellclasses",
        "cellreleases",
        "tenantmoves",
        "cellreleasestrategies",
        "validatingwebhookconfigurations",
    }
    for kind in OURS.values():
        for item in (await api.list(kind))[0]:
            assert "kopf" not in json.dumps(item)
