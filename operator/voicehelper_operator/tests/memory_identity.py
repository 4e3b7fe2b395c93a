"""Identity in memory: who may log in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from voicehelper_core import errors

from voicehelper_operator.identity import Admin, AdminState
from voicehelper_operator.tests.memory_store import MemoryStore


@dataclass
class MemoryIdentity:
    """``retired`` are the tenants whose users are kept, without a way to log in."""

    store: MemoryStore = field(default_factory=MemoryStore)
    step: Callable[[str], None] = lambda _: None
    tenants: dict[str, tuple[str, Admin]] = field(default_factory=dict)
    retired: dict[str, tuple[str, Admin]] = field(default_factory=dict)
    broken: str = ""

    async def ensure_tenant(self, name: str, tenant_id: str, admin: Admin, max_users: int) -> AdminState:
        self.step("identity.before")
        if self.broken:
            raise errors.Unavailable(self.broken)
        known = self.tenants.setdefault(tenant_id, (name, admin))
        self.step("identity.after")
        return AdminState(known[1].password == admin.password, "the password is another", 1)

    async def remove_tenant(self, tenant_id: str) -> None:
        self.step("identity.remove.before")
        known = self.tenants.pop(tenant_id, None) or self.retired.pop(tenant_id, None)
        if known is not None and not self._may_delete(tenant_id):
            self.retired[tenant_id] = known
        self.step("identity.remove.after")

    def _may_delete(self, tenant_id: str) -> bool:
        tenants = [item for (kind, _), item in self.store.objects.items() if kind == "Tenant"]
        tenant: Any = next(item for item in tenants if item.status.tenant_id == tenant_id)  # type: ignore[attr-defined]
        archived = any(item.type == "Archived" and item.status == "True" for item in tenant.status.conditions)
        policy = tenant.spec.deletion.policy
        return policy == "Delete" or (policy == "Archive" and archived)

    async def service_token(self, name: str, tenant_id: str, scope: str) -> str:
        return "token"
