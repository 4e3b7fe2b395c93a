"""Certificates and authorities of seconds, in two replicas, under load: no request fails."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import time
from datetime import timedelta

import pytest
from cryptography import x509
from voicehelper_core import errors
from voicehelper_core.certificates import Lifetimes
from voicehelper_core.kubernetes_api.kinds import SECRET, WEBHOOK_CONFIGURATION
from voicehelper_e2e.admission.tests.harness import CONFIGURATION, manifest, tenant, until_asked
from voicehelper_e2e.admission.tests.relay import Relay
from voicehelper_e2e.charts import render

pytestmark = pytest.mark.integration
LIVES = Lifetimes(leaf=timedelta(seconds=15), authority=timedelta(seconds=40), settle=timedelta(seconds=6))
SECONDS = 75


async def _without_secret(api):
    with contextlib.suppress(errors.NotFound):
        await api.delete(SECRET, "voicehelper-webhook", render.NAMESPACE)


@pytest.mark.timeout(240)
async def test_no_request_fails_while_certificates_and_authorities_change(cluster, api, operators):
    await _without_secret(api)
    service = Relay()
    options = {"asked_at": service.port, "lifetimes": LIVES, "look_seconds": 0.5}
    replicas = [await operators(**options), await operators(**options)]
    await service.start([replica.port for replica in replicas])
    await until_asked(api, replicas[0])
    await cluster.apply(manifest("TenantPlan", "team"))
    end, failures, counts = time.monotonic() + SECONDS, [], {"requests": 0, "handshakes": 0}
    leaves, authorities = set(), set()

    async def people(number):
        while time.monotonic() < end:
            try:
                await api.create(tenant(f"t{number}", planRef="none"), manager="test")
            except errors.InvalidArgument as refusal:
                assert "there is no TenantPlan 'none'" in refusal.detail
                counts["requests"] += 1
            except errors.AppError as error:
                failures.append(error.detail)
            await asyncio.sleep(0.02)

    async def newcomers():
        """New connections, which are what a new certificate is for; those of the API server are kept."""
        while time.monotonic() < end:
            found = await api.get(WEBHOOK_CONFIGURATION, CONFIGURATION)
            bundle = base64.b64decode(found["webhooks"][0]["clientConfig"]["caBundle"])
            authorities.update(item.serial_number for item in x509.load_pem_x509_certificates(bundle))
            context = ssl.create_default_context(cadata=bundle.decode())
            for replica in replicas:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", replica.port, ssl=context)
                except OSError as error:
                    failures.append(repr(error))
                    continue
                leaves.add(writer.get_extra_info("peercert")["serialNumber"])
                counts["handshakes"] += 1
                writer.close()
            await asyncio.sleep(0.1)

    await asyncio.gather(*(people(number) for number in range(4)), newcomers())
    await service.cut()
    await _without_secret(api)
    print(counts, f"{len(leaves)} certificates, {len(authorities)} authorities, {len(failures)} failures")
    assert failures == []
    assert len(leaves) >= 5
    assert len(authorities) >= 3
    assert counts["requests"] > 500
