"""At most one operator acts: the lease is renewed while it runs, and losing it stops the next effect."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from voicehelper_core.log import get_logger
from voicehelper_core.ports import Lease

from voicehelper_operator.engine import metrics

log = get_logger(__name__)
NAME = "operator"


async def lead(lease: Lease, holder: str, seconds: int, leading: asyncio.Event) -> None:
    """Set ``leading`` while this operator holds the lease; until cancelled."""
    try:
        while True:
            try:
                async with asyncio.timeout(seconds / 3):  # an answer after the lease has run out says nothing
                    has = await lease.acquire(NAME, holder, timedelta(seconds=seconds))
            except Exception as error:  # without the store there is no lease, and nothing to reconcile either
                log.warning("the lease cannot be renewed", error_type=type(error).__name__)
                has = False
            if has is not leading.is_set():
                log.info("leading" if has else "following", holder=holder)
                leading.set() if has else leading.clear()
            metrics.LEADING.set(has)
            await asyncio.sleep(seconds / 3 if has else min(1.0, seconds / 3))
    finally:
        if leading.is_set():
            leading.clear()
            await asyncio.shield(lease.release(NAME, holder))
