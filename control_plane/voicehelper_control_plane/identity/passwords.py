"""Passwords: argon2id with the parameters that OWASP's cheat sheet on password storage names first."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from voicehelper_core.errors import QuotaExceeded

_QUEUE = 200  # some seconds of waiting


class Passwords:
    """Hashes in threads, a few at once: each takes 19 MiB and some 20 ms of a core."""

    def __init__(self, at_once: int = 2) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._turn = asyncio.Semaphore(at_once)
        self._nobody = self._hasher.hash("nobody has this password")
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """The hash to store."""
        async with self._turn:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Whether it is the password; as slow for an unknown user (None) as for a known one.

        Raises QuotaExceeded when many wait already: whoever came first is not kept waiting by a flood.
        """
        if self._waiting >= _QUEUE:
            raise QuotaExceeded("many logins at once: try again in a moment", retry_after=1)
        self._waiting += 1
        try:
            async with self._turn:
                fits = await asyncio.to_thread(self._fits, hashed or self._nobody, password)
        finally:
            self._waiting -= 1
        return fits and hashed is not None

    def _fits(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False
