"""Who calls, and what the caller may do."""

from __future__ import annotations

from dataclasses import dataclass

from voicehelper_core.auth import Claims
from voicehelper_core.errors import PermissionDenied
from voicehelper_core.names import PUBLIC_TENANT

PLATFORM_ADMIN = "platform-admin"
TENANT_ADMIN = "tenant-admin"
MEMBER = "member"
ROLES = (PLATFORM_ADMIN, TENANT_ADMIN, MEMBER)


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified caller. ``tenant_id`` is ``_public`` for users of the platform."""

    user_id: str
    tenant: str
    tenant_id: str
    roles: frozenset[str]
    request_id: str = ""

    @classmethod
    def of(cls, claims: Claims, request_id: str = "") -> Principal:
        """From a verified token. Raises PermissionDenied for service tokens: they serve one purpose elsewhere."""
        if claims.scopes or "service" in claims.roles:
            raise PermissionDenied("service tokens cannot be used here")
        tenant_id = claims.tid or (PUBLIC_TENANT if claims.tenant == PUBLIC_TENANT else "")
        if not tenant_id:
            raise PermissionDenied("the token names no tenant id")
        return cls(claims.sub, claims.tenant, tenant_id, frozenset(claims.roles), request_id)

    @property
    def is_platform_admin(self) -> bool:
        """Whether the caller runs the platform; the role counts only outside of tenants."""
        return PLATFORM_ADMIN in self.roles and self.tenant_id == PUBLIC_TENANT

    def require_platform_admin(self) -> None:
        """Raises PermissionDenied."""
        if not self.is_platform_admin:
            raise PermissionDenied("this needs the role platform-admin")

    def require_admin_of(self, tenant_id: str) -> None:
        """Raises PermissionDenied for everybody but the tenant's admins and the platform's."""
        if not (self.is_platform_admin or (self.tenant_id == tenant_id and TENANT_ADMIN in self.roles)):
            raise PermissionDenied("this needs the role tenant-admin")
