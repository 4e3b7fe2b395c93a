"""Starts, ends and what people do to the webhook configuration and to the Secret."""

from __future__ import annotations

import asyncio
import base64
import ssl

import pytest
from voicehelper_core import errors
from voicehelper_core.kubernetes_api.kinds import OURS, SECRET, WEBHOOK_CONFIGURATION
from voicehelper_e2e.admission.tests.harness import CONFIGURATION, manifest, tenant, until_asked
from voicehelper_e2e.charts import render

pytestmark = pytest.mark.integration
OBJECT = {
    "apiVersion": WEBHOOK_CONFIGURATION.api_version,
    "kind": WEBHOOK_CONFIGURATION.name,
    "metadata": {"name": CONFIGURATION},
}


async def configuration(api):
    return await api.get(WEBHOOK_CONFIGURATION, CONFIGURATION)


async def until(condition, seconds=15):
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.1)


async def trusted(api, operator) -> str:
    """What a client sees that trusts what the API server is told to trust."""
    bundle = base64.b64decode((await configuration(api))["webhooks"][0]["clientConfig"]["caBundle"]).decode()
    context = ssl.create_default_context(cadata=bundle)
    _, writer = await asyncio.open_connection("127.0.0.1", operator.port, ssl=context)
    number = writer.get_extra_info("peercert")["serialNumber"]
    assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
    writer.close()
    await writer.wait_closed()
    return str(number)


async def test_while_no_operator_runs_our_kinds_cannot_be_changed_and_all_others_can(cluster, api, asked):
    await cluster.apply(manifest("TenantPlan", "team"))
    assert "created" in await cluster.apply(tenant())
    await asked.end()
    for attempt in (
        cluster.apply(tenant("second")),
        cluster.apply(tenant(suspended=True)),
        cluster.run("delete", "tenant", "acme"),
        cluster.apply(manifest("CellClass", "small")),
    ):
        said = await attempt
        assert 'failed calling webhook "admission.voicehelper.io"' in said, said
    assert "acme" in await cluster.run("get", "tenants")
    assert "created" in await cluster.run("create", "configmap", "other")
    assert "deleted" in await cluster.run("delete", "configmap", "other")
    await asked.start()
    await until_asked(api, asked)
    assert "configured" in await cluster.apply(tenant(suspended=True))


@pytest.mark.parametrize(
    "change",
    [
        {"webhooks": []},
        {"failurePolicy": "Ignore"},
        {"rules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}]},
        {"clientConfig": {"url": "https://127.0.0.1:1/", "caBundle": ""}},
        {"matchConditions": [{"name": "nobody", "expression": "false"}]},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_what_somebody_makes_of_the_configuration_is_set_right(change, api, asked):
    wanted = (await configuration(api))["webhooks"]
    changed = change if "webhooks" in change else {"webhooks": [wanted[0] | change]}
    await api.merge(WEBHOOK_CONFIGURATION, CONFIGURATION, changed, manager="somebody")
    await until(lambda: _has(api, wanted))


async def _has(api, wanted):
    return (await configuration(api)).get("webhooks") == wanted


async def test_it_asks_for_our_kinds_and_nothing_else(api, asked):
    (entry,) = (await configuration(api))["webhooks"]
    assert (entry["failurePolicy"], entry["timeoutSeconds"], entry["sideEffects"], entry["matchPolicy"]) == (
        "Fail",
        5,
        "None",
        "Equivalent",
    )
    (rule,) = entry["rules"]
    assert rule == {
        "apiGroups": ["voicehelper.io"],
        "apiVersions": ["v1alpha1"],
        "operations": ["CREATE", "UPDATE", "DELETE"],
        "resources": [
            "cellclasses",
            "cellreleases",
            "cellreleasestrategies",
            "cells",
            "tenantmoves",
            "tenantplans",
            "tenants",
        ],
        "scope": "Cluster",
    }


async def test_what_is_deleted_does_not_come_back_and_blocks_nobody(cluster, api, asked):
    """As ``helm uninstall`` does while the operator still runs, and who wants to get out by hand."""
    await api.delete(WEBHOOK_CONFIGURATION, CONFIGURATION)
    try:
        await asyncio.sleep(3)
        with pytest.raises(errors.NotFound):
            await configuration(api)
        await api.create(tenant(planRef="none"), manager="test")
        await asked.end()
        await api.delete(OURS["Tenant"], "acme")
        await asked.start()
    finally:
        await cluster.run("apply", manifest=OBJECT)  # the next installation or upgrade
    await until_asked(api, asked)


async def test_replicas_that_start_at_once_share_one_authority(api, operators):
    await api.delete(SECRET, "voicehelper-webhook", render.NAMESPACE)
    both = await asyncio.gather(operators(), operators(), operators())
    await until(lambda: _filled(api))
    assert len({await trusted(api, operator) for operator in both}) == 1


async def _filled(api):
    return bool((await configuration(api)).get("webhooks"))


@pytest.mark.parametrize("pair", [{"crt": "bm8="}, {"crt": "bm8=", "key": "bm8="}], ids="-".join)
async def test_a_broken_secret_becomes_what_it_was(pair, api, operators):
    operator = await operators(look_seconds=0.3)
    await until_asked(api, operator)
    before, found = await trusted(api, operator), await api.get(SECRET, "voicehelper-webhook", render.NAMESPACE)
    broken = {f"authority-0.{end}": text for end, text in pair.items()}
    await api.replace(found | {"data": broken}, manager="somebody")

    async def as_it_was():
        return (await api.get(SECRET, "voicehelper-webhook", render.NAMESPACE)).get("data") == found["data"]

    await until(as_it_was)
    assert await trusted(api, operator) == before


@pytest.mark.parametrize("emptied", [False, True], ids=["deleted", "emptied"])
async def test_a_secret_that_is_gone_is_made_anew(emptied, api, operators):
    """The way to be rid of an authority whose key others know."""
    operator = await operators(look_seconds=0.3)
    await until_asked(api, operator)
    before = await trusted(api, operator)
    if emptied:
        await api.merge(SECRET, "voicehelper-webhook", {"data": None}, manager="somebody", namespace=render.NAMESPACE)
    else:
        await api.delete(SECRET, "voicehelper-webhook", render.NAMESPACE)

    async def anew():
        try:
            return await trusted(api, operator) != before
        except ssl.SSLError:  # until the API server is told
            return False

    await asyncio.sleep(1)
    await until(anew)
    await until_asked(api, operator)
