"""gRPC surface of usage. The tenant is the verified token's, never a parameter."""

from __future__ import annotations

from typing import Any

from voicehelper_core import context
from voicehelper_core.auth import Claims
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import PermissionDenied
from voicehelper_core.gen.analytics.v1 import usage_pb2, usage_pb2_grpc

from voicehelper_analytics.queries.usage import Totals, Window, usage
from voicehelper_analytics.warehouse import Warehouse

SERVICE = "analytics.v1.UsageService"
CALLERS = {SERVICE: frozenset({"web"})}
"""Who may ask: the cells' web BFF."""


def admit(claims: Claims) -> TenantContext:
    """The context of a tenant's token; platform tokens have no usage of their own."""
    if not claims.tid:
        raise PermissionDenied("this token belongs to no tenant: use a tenant's token")
    if "service" in claims.roles:
        raise PermissionDenied("service tokens may not read usage")
    return TenantContext(
        tenant_id=claims.tid,
        tenant=claims.tenant,
        user_id=claims.sub,
        cell_id="",
        roles=frozenset(claims.roles),
        scopes=frozenset(claims.scopes),
    )


def _totals(totals: Totals) -> dict[str, Any]:
    return {
        "message_count": totals.message_count,
        "total_tokens": totals.total_tokens,
        "total_cost": f"{totals.total_cost:.4f}",
        "user_message_count": totals.user_message_count,
        "assistant_message_count": totals.assistant_message_count,
    }


class UsageServicer(usage_pb2_grpc.UsageServiceServicer):
    """Delegates to ``queries.usage``."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    async def GetUsage(self, request: Any, _: Any) -> Any:
        """Usage of the caller's tenant by minute and user."""
        who = context.current()
        window = Window.parse(getattr(request, "from"), request.to)
        page = await usage(self._warehouse, who, window, limit=request.limit, cursor=request.cursor)
        return usage_pb2.Usage(
            **{"from": window.start.isoformat().replace("+00:00", "Z")},
            to=window.end.isoformat().replace("+00:00", "Z"),
            tenant_id=who.tenant_id,
            totals=usage_pb2.Totals(**_totals(page.totals)),
            items=[
                usage_pb2.Minute(
                    minute=item.minute.isoformat().replace("+00:00", "Z"), user_id=item.user_id, **_totals(item.totals)
                )
                for item in page.items
            ],
            next_cursor=page.next_cursor,
        )
