"""A cell's passwords, kept in the secret store, one bundle a cell; and how far their rotation has come.

A cell has one open account in each store. A rotation gives the other one new passwords, makes it the workload's, and
closes the first. Its phase is in the bundle, so that whoever goes on after a death knows which accounts are open:

======== ============================ ==============================================
phase    open                         what is under way
======== ============================ ==============================================
(none)   the current one              nothing
Opening  both                         the stores get the other account
Moving   both; the other is current   the workload takes the current one's passwords
Closing  the current one              the stores lose the other account
======== ============================ ==============================================
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, cast

from voicehelper_core import cell_bundle, faults, names
from voicehelper_core.names import Account
from voicehelper_core.ports import SecretStore

MIGRATOR_PASSWORD = cell_bundle.MIGRATOR
PASSWORDS = (cell_bundle.POSTGRES, cell_bundle.KAFKA, cell_bundle.OBJECTS)
"""What each account has, beside the passwords of services."""
Phase = Literal["", "Opening", "Moving", "Closing"]
_ROTATED_AT, _PHASE, _ASKED, _POSTPONED = "rotated_at", "rotation", "rotation_asked", "rotation_postponed"


def service_password(service: str) -> str:
    """Name in the bundle of the Postgres password of one service of an expanded cell."""
    return f"{cell_bundle.POSTGRES}_{service}"


def digest(asked: str) -> str:
    """What is kept of a request to rotate, however long it is."""
    return hashlib.sha256(asked.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a bundle says of its accounts."""

    account: Account = "a"
    """The workload's."""
    phase: Phase = ""
    rotated_at: datetime | None = None
    """When the current account became that; None where there is no bundle yet."""
    asked: str = ""
    """Digest of the last request that was taken up."""
    postponed: datetime | None = None
    """Not before then is the workload stopped again to be moved."""

    @property
    def open(self) -> tuple[Account, ...]:
        """Accounts that the stores have to know, the workload's first."""
        both = self.phase in ("Opening", "Moving")
        return (self.account, cell_bundle.other(self.account)) if both else (self.account,)

    @classmethod
    def of(cls, bundle: Mapping[str, str]) -> Rotation:
        """As the bundle says."""

        def at(key: str) -> datetime | None:
            return datetime.fromisoformat(bundle[key]) if bundle.get(key) else None

        phase = cast(Phase, bundle.get(_PHASE, ""))
        return cls(cell_bundle.current(bundle), phase, at(_ROTATED_AT), bundle.get(_ASKED, ""), at(_POSTPONED))


NO_ROTATION = Rotation()
"""Of a cell that has no bundle yet."""


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


class CellCredentials:
    """Reads, makes and rotates the bundles."""

    def __init__(self, store: SecretStore, clock: Callable[[], datetime] = _now) -> None:
        self._store, self._clock = store, clock
        self._lock = asyncio.Lock()  # slices of one cell ask at the same time

    async def of(self, cell_id: str, services: Iterable[str] = ()) -> dict[str, str]:
        """The bundle, with passwords of ``services``; missing ones are made and stored before anybody uses them."""
        name = names.cell_secret(cell_id)
        async with self._lock:
            bundle = await self._store.get(name) or {}
            wanted = {
                cell_bundle.key(secret, account)
                for account in Rotation.of(bundle).open
                for secret in (*PASSWORDS, *map(service_password, services))
            }
            lacking = sorted((wanted | {MIGRATOR_PASSWORD}) - bundle.keys())
            if lacking or _ROTATED_AT not in bundle:
                # The age of passwords of before they were rotated is not known: it counts from now on.
                bundle = {_ROTATED_AT: self._clock().isoformat()} | bundle | {key: _new() for key in lacking}
                await faults.point("operator.credentials.before")
                await self._store.put(name, bundle)
                await faults.point("operator.credentials.recorded")
            return bundle

    async def rotation(self, cell_id: str) -> Rotation:
        """How far it is."""
        return Rotation.of(await self._store.get(names.cell_secret(cell_id)) or {})

    async def begin(self, cell_id: str, asked: str) -> Rotation:
        """The other account is wanted, with passwords that it never had; ``asked`` is the digest of the request."""

        def change(bundle: dict[str, str]) -> dict[str, str]:
            kept = _without(bundle, cell_bundle.other(cell_bundle.current(bundle)))
            return kept | {_PHASE: "Opening", _ASKED: asked}

        return await self._change(cell_id, "", change)

    async def switch(self, cell_id: str) -> Rotation:
        """The other account becomes the workload's."""

        def change(bundle: dict[str, str]) -> dict[str, str]:
            kept = {key: value for key, value in bundle.items() if key != _POSTPONED}
            account = cell_bundle.other(cell_bundle.current(bundle))
            now = self._clock().isoformat()
            return kept | {cell_bundle.CURRENT: account, _PHASE: "Moving", _ROTATED_AT: now}

        return await self._change(cell_id, "Opening", change)

    async def close(self, cell_id: str) -> Rotation:
        """Nothing uses the other account any more: it is not wanted from now on, and its passwords are forgotten."""

        def change(bundle: dict[str, str]) -> dict[str, str]:
            return _without(bundle, cell_bundle.other(cell_bundle.current(bundle))) | {_PHASE: "Closing"}

        return await self._change(cell_id, "Moving", change)

    async def finish(self, cell_id: str) -> Rotation:
        """The stores know one account only."""
        return await self._change(
            cell_id, "Closing", lambda bundle: {key: value for key, value in bundle.items() if key != _PHASE}
        )

    async def postpone(self, cell_id: str, until: datetime) -> Rotation:
        """Leave the workload alone until then."""
        return await self._change(
            cell_id, "Opening", lambda bundle: bundle | {_POSTPONED: until.replace(microsecond=0).isoformat()}
        )

    async def renew_migrator(self, cell_id: str) -> str:
        """A new password of migrations, for one of them."""
        await self.of(cell_id)
        async with self._lock:
            name = names.cell_secret(cell_id)
            bundle = (await self._store.get(name) or {}) | {MIGRATOR_PASSWORD: _new()}
            await self._store.put(name, bundle)
            return bundle[MIGRATOR_PASSWORD]

    async def _change(self, cell_id: str, phase: Phase, change: Callable[[dict[str, str]], dict[str, str]]) -> Rotation:
        """Only from that phase, so that doing it twice is doing it once."""
        name = names.cell_secret(cell_id)
        async with self._lock:
            bundle = await self._store.get(name) or {}
            if bundle and Rotation.of(bundle).phase == phase:
                bundle = change(bundle)
                await self._store.put(name, bundle)
            return Rotation.of(bundle)

    async def known(self, cell_id: str) -> bool:
        """Whether the bundle is there; makes nothing."""
        bundle = await self._store.get(names.cell_secret(cell_id)) or {}
        accounts = Rotation.of(bundle).open
        return {cell_bundle.key(secret, account) for account in accounts for secret in PASSWORDS} <= bundle.keys()

    async def certificates(self, cell_id: str) -> dict[str, str] | None:
        """The authority and the certificates of the cell's services, as they are kept."""
        return await self._store.get(names.cell_certificates(cell_id))

    async def keep_certificates(self, cell_id: str, secret: Mapping[str, str]) -> None:
        """Replace them."""
        await self._store.put(names.cell_certificates(cell_id), secret)

    async def remove(self, cell_id: str) -> None:
        """Forget everything of the cell."""
        await self._store.delete(names.cell_secret(cell_id))
        await self._store.delete(names.cell_certificates(cell_id))


def _new() -> str:
    return secrets.token_urlsafe(24)


def account_of(key: str) -> Account | None:
    """Whose password a key of a bundle names; None for what is no account's."""
    if not key.startswith(PASSWORDS):
        return None
    return "b" if key.endswith("_b") else "a"


def _without(bundle: Mapping[str, str], account: Account) -> dict[str, str]:
    return {key: value for key, value in bundle.items() if account_of(key) != account}
