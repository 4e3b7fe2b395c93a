"""Identity's keys change while clients work: the router verifies with each as long as it is shown."""

from __future__ import annotations

import asyncio
import time

import pytest
from voicehelper_core.signing_keys import KeyRing, SigningKey
from voicehelper_router.tests.harness import RouterUnderTest

pytestmark = pytest.mark.integration
LEAD = 4  # this router fetches every 0.2 s, its Envoy every second


def publish(router: RouterUnderTest, ring: KeyRing, now: float) -> None:
    router.identity.answers["/.well-known/jwks.json"] = ring.public(now)


async def status(router: RouterUnderTest, key: SigningKey, token: str = "") -> int:
    token = token or router.issuer.token("acme", key=key.private, kid=key.kid)
    return (await router.get(token=token)).status_code


async def until(router: RouterUnderTest, key: SigningKey, wanted: int) -> None:
    async with asyncio.timeout(15):
        while await status(router, key) != wanted:
            await asyncio.sleep(0.1)


async def test_no_request_fails_while_one_key_follows_another(router: RouterUnderTest) -> None:
    before = KeyRing.fresh(time.time() - 1000)
    publish(router, before, time.time())
    await until(router, before.keys[0], 200)
    ring = before.rotated(time.time(), LEAD)
    old, new = ring.keys
    held = router.issuer.token("acme", key=old.private, kid=old.kid)
    publish(router, ring, time.time())
    signed: set[str] = set()
    while time.time() < new.signs_from + 2:
        signer = ring.signer(time.time())
        signed.add(signer.kid)
        assert await status(router, signer) == 200, signer
        assert await status(router, old, held) == 200
        await asyncio.sleep(0.02)
    assert signed == {old.kid, new.kid}
    publish(router, ring, float(ring.withdrawn_at(old) or 0))
    await until(router, old, 401)
    assert await status(router, new) == 200


async def test_a_stolen_key_opens_nothing_soon(router: RouterUnderTest) -> None:
    stolen, after = KeyRing.fresh(time.time()), KeyRing.fresh(time.time())
    publish(router, stolen, time.time())
    await until(router, stolen.keys[0], 200)
    shown = router.issuer.token("acme", key=stolen.keys[0].private, kid=stolen.keys[0].kid)
    assert await status(router, stolen.keys[0], shown) == 200
    publish(router, after, time.time())
    await until(router, stolen.keys[0], 401)
    assert await status(router, after.keys[0]) == 200
    # Envoy remembers what it has verified (docs/vault.md): whoever is behind it verifies again, or Envoy starts anew.
    assert await status(router, stolen.keys[0], shown) == 200
    await router.stop_envoy()
    await router.start_envoy()
    await router.settled()
    assert await status(router, stolen.keys[0], shown) == 401
