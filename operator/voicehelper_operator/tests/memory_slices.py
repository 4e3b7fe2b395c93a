"""A store of cells and tenants in memory, which fails on demand."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from voicehelper_core import cell_bundle, names
from voicehelper_core.names import ACCOUNTS

from voicehelper_operator.slices.credentials import Rotation
from voicehelper_operator.slices.interface import CellRef, TenantRef


def _told(tenant: TenantRef) -> str:
    return json.dumps([tenant.name, tenant.suspended, dict(tenant.limits)], sort_keys=True)


@dataclass
class MemorySlice:
    """``cells`` and ``tenants`` are what exists; ``broken`` is what every call raises.

    ``accounts`` are the passwords by which cells get in, by their names; ``secret`` is what the bundle calls them, and
    a store without it has no passwords.
    """

    store: str
    isolated: bool = True
    step: Callable[[str], None] = lambda _: None
    secret: str = ""
    bundle: Callable[[str], Awaitable[dict[str, str]]] | None = None
    accounts: dict[str, str] = field(default_factory=dict)
    cells: set[str] = field(default_factory=set)
    tenants: dict[tuple[str, str], str] = field(default_factory=dict)
    data: set[tuple[str, str]] = field(default_factory=set)
    archived: set[str] = field(default_factory=set)
    broken: str = ""
    writes: int = 0

    def _check(self, name: str) -> None:
        self.step(f"{self.store}.{name}")
        if self.broken:
            raise RuntimeError(self.broken)

    async def observe(self, cell: CellRef) -> list[str]:
        return [] if cell.cell_id in self.cells else [f"{self.store} of the cell"]

    async def ensure(self, cell: CellRef) -> list[str]:
        self._check("ensure.before")
        made = await self._ensure_accounts(cell.cell_id)
        if cell.cell_id in self.cells:
            return made
        self.cells.add(cell.cell_id)
        self.writes += 1
        self._check("ensure.after")
        return [f"{self.store} of the cell", *made]

    async def _ensure_accounts(self, cell_id: str) -> list[str]:
        """A closed account is opened with its kept password; an open one keeps the one that it has."""
        if not self.secret:
            return []
        assert self.bundle is not None
        bundle = await self.bundle(cell_id)
        made = []
        for account in ACCOUNTS:
            name, wanted = names.kafka_user(cell_id, account), account in Rotation.of(bundle).open
            if wanted is not (name in self.accounts):
                self.writes += 1
                if wanted:
                    self.accounts[name] = bundle[cell_bundle.key(self.secret, account)]
                    made.append(f"account {name}")
                else:
                    del self.accounts[name]
                self._check(f"account.{account}.after")
        return made

    async def verify(self, cell: CellRef) -> str | None:
        if self.secret:
            assert self.bundle is not None
            bundle = await self.bundle(cell.cell_id)
            for account in Rotation.of(bundle).open:
                kept = bundle[cell_bundle.key(self.secret, account)]
                if self.accounts[names.kafka_user(cell.cell_id, account)] != kept:
                    return "the login was refused"
        return None

    async def remove(self, cell: CellRef) -> None:
        self._check("remove.before")
        self.cells.discard(cell.cell_id)
        for account in ACCOUNTS:
            self.accounts.pop(names.kafka_user(cell.cell_id, account), None)
        self.tenants = {key: name for key, name in self.tenants.items() if key[0] != cell.cell_id}
        self.data = {key for key in self.data if key[0] != cell.cell_id}
        self._check("remove.after")

    async def let_migrate(self, cell: CellRef, *, allowed: bool) -> None:
        self._check("let_migrate")

    async def archive(self, cell: CellRef) -> None:
        self.archived.add(cell.cell_id)

    async def ensure_tenant(self, cell: CellRef, tenant: TenantRef) -> list[str]:
        self._check("ensure_tenant.before")
        key = (cell.cell_id, tenant.tenant_id)
        told = _told(tenant)
        if self.tenants.get(key) == told:
            return []
        made = [] if key in self.tenants else [f"{self.store} of the tenant"]
        self.tenants[key] = told
        self.data.add(key)
        self.writes += 1
        self._check("ensure_tenant.after")
        return made

    async def lacking(self, cell: CellRef, tenants: Sequence[TenantRef]) -> set[str]:
        if self.broken:
            raise RuntimeError(self.broken)
        return {item.tenant_id for item in tenants if self.tenants.get((cell.cell_id, item.tenant_id)) != _told(item)}

    async def remove_tenant(self, cell: CellRef, tenant_id: str, *, data: bool) -> None:
        self._check("remove_tenant.before")
        self.tenants.pop((cell.cell_id, tenant_id), None)
        if data:
            self.data.discard((cell.cell_id, tenant_id))
        self._check("remove_tenant.after")
