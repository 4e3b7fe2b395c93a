"""At most one operator acts: the lease is renewed while it runs, and losing it stops the next effect."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

from voicehelper_core.errors import Unavailable
from voicehelper_core.log import get_logger
from voicehelper_core.ports import Lease, SecretStore

from voicehelper_operator.engine import metrics

log = get_logger(__name__)
NAME = "operator"
_LOOK_SECONDS = 0.05


class Leading(asyncio.Event):
    """Set while this operator holds the lease.

    The lease runs out by the clock also while the process is frozen: whoever goes on after that must not write before
    the lease was asked for again.
    """

    def __init__(self) -> None:
        super().__init__()
        self._until = 0.0

    def renewed(self, asked: float, seconds: float) -> None:
        """It was got by a request that was sent at ``asked``, by ``time.monotonic``."""
        self._until = asked + seconds
        self.set()

    def holds(self) -> bool:
        """Whether it is this operator's still; others count from later on."""
        return self.is_set() and time.monotonic() < self._until

    async def wait(self) -> Literal[True]:
        """Until it holds."""
        while not self.holds():
            await super().wait()
            if not self.holds():
                await asyncio.sleep(_LOOK_SECONDS)
        return True

    def check(self) -> None:
        """Raises Unavailable where somebody else may lead."""
        if not self.holds():
            raise Unavailable("the lease is lost: nothing is written")


class LeadersSecrets:
    """``ports.SecretStore`` that only the leader writes to."""

    def __init__(self, secrets: SecretStore, leading: Leading) -> None:
        self._secrets, self._leading = secrets, leading

    async def get(self, name: str) -> dict[str, str] | None:
        return await self._secrets.get(name)

    async def put(self, name: str, data: Mapping[str, str]) -> None:
        self._leading.check()
        await self._secrets.put(name, data)

    async def delete(self, name: str) -> None:
        self._leading.check()
        await self._secrets.delete(name)


async def lead(lease: Lease, holder: str, seconds: int, leading: Leading) -> None:
    """Set ``leading`` while this operator holds the lease; until cancelled."""
    try:
        while True:
            asked = time.monotonic()
            try:
                async with asyncio.timeout(seconds / 3):  # an answer after the lease has run out says nothing
                    has = await lease.acquire(NAME, holder, timedelta(seconds=seconds))
            except Exception as error:  # without the store there is no lease, and nothing to reconcile either
                log.warning("the lease cannot be renewed", error_type=type(error).__name__)
                has = False
            if has is not leading.is_set():
                log.info("leading" if has else "following", holder=holder)
            leading.renewed(asked, seconds) if has else leading.clear()
            metrics.LEADING.set(leading.holds())
            await asyncio.sleep(seconds / 3 if has else min(1.0, seconds / 3))
    finally:
        if leading.is_set():
            leading.clear()
            await asyncio.shield(lease.release(NAME, holder))
