"""Vault: a policy and a role per cell, by which its pods may read their own passwords; a path per tenant."""

from __future__ import annotations

from collections.abc import Sequence

from voicehelper_core import cell_bundle, names
from voicehelper_core.call_graph import SERVICES
from voicehelper_core.vault import Reader, VaultAccess, VaultSecretStore
from voicehelper_core.vault.secrets import path_of

from voicehelper_operator.slices.credentials import CellCredentials, account_of
from voicehelper_operator.slices.interface import CellRef, TenantRef
from voicehelper_operator.workloads.kubernetes import naming


class VaultSlice:
    """The bundle ``cells/ID`` is the operator's: it has the password of migrations. What the cell may read is in
    ``cells/ID/workload``: which account is current, and its passwords, by the same names whichever it is.
    """

    store = "vault"
    isolated = True

    def __init__(self, secrets: VaultSecretStore, access: VaultAccess, credentials: CellCredentials) -> None:
        self._secrets, self._access, self._credentials = secrets, access, credentials

    async def close(self) -> None:
        """The connection is closed by whoever opened it."""

    async def observe(self, cell: CellRef) -> list[str]:
        missing = await self._access.missing(_reader(cell.cell_id))
        if await self._secrets.get(_workload(cell.cell_id)) != await self._readable(cell):
            missing.append(f"secret {path_of(_workload(cell.cell_id))}")
        return missing

    async def ensure(self, cell: CellRef) -> list[str]:
        """Access last: whoever comes in finds what they came for."""
        made, name, wanted = [], _workload(cell.cell_id), await self._readable(cell)
        if await self._secrets.get(name) != wanted:
            await self._secrets.put(name, wanted)
            made.append(f"secret {path_of(name)}")
        return made + await self._access.ensure(_reader(cell.cell_id))

    async def _readable(self, cell: CellRef) -> dict[str, str]:
        bundle = await self._credentials.of(cell.cell_id, SERVICES if cell.topology == "expanded" else ())
        account = cell_bundle.current(bundle)
        mine = {key: value for key, value in bundle.items() if account_of(key) == account}
        return {"account": account, **{key.removesuffix(f"_{account}"): value for key, value in mine.items()}}

    async def verify(self, cell: CellRef) -> str | None:
        """The operator has no token of the cell's service account to try it with."""
        return None

    async def let_migrate(self, cell: CellRef, *, allowed: bool) -> None:
        """Migrations are told their password by the operator."""

    async def archive(self, cell: CellRef) -> None:
        await self._access.remove(_reader(cell.cell_id))

    async def remove(self, cell: CellRef) -> None:
        await self._access.remove(_reader(cell.cell_id))
        await self._secrets.delete(_workload(cell.cell_id))

    async def ensure_tenant(self, cell: CellRef, tenant: TenantRef) -> list[str]:
        return []  # a path is there as soon as something is written below it

    async def lacking(self, cell: CellRef, tenants: Sequence[TenantRef]) -> set[str]:
        return set()

    async def remove_tenant(self, cell: CellRef, tenant_id: str, *, data: bool) -> None:
        if data:
            await self._secrets.delete_of_tenant(tenant_id)


def _workload(cell_id: str) -> str:
    return f"{names.cell_secret(cell_id)}-workload"


def _reader(cell_id: str) -> Reader:
    name = f"cell-{names.checked(cell_id)}"
    return Reader(name, naming.namespace(cell_id), naming.ACCOUNT, (path_of(_workload(cell_id)),))
