"""The check that Envoy calls for a held request (``filters.hold``)."""

from __future__ import annotations

from typing import Any

import grpc
from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc

from voicehelper_router.filters import hold
from voicehelper_router.filters.identity_headers import TENANT
from voicehelper_router.hold.waiting import Outcome, Waiting

_WHY = {
    Outcome.LATE: "the tenant's cell did not wake in time: it is still being woken, try again in a moment",
    Outcome.CROWDED: "too many requests of this tenant wait for its cell to wake: try again in a moment",
    Outcome.FULL: "too many requests wait for cells to wake: try again in a moment",
}


class HoldServicer(external_auth_pb2_grpc.AuthorizationServicer):
    """Answers when the request can go on. A client that goes away cancels the call."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting

    async def Check(self, request: Any, context: Any) -> Any:
        """One held request."""
        metadata = dict(context.invocation_metadata())
        tenant = request.attributes.request.http.headers.get(TENANT, "")
        outcome = await self._waiting.wait(str(metadata.get(hold.NODE, "")), tenant)
        answer = external_auth_pb2.CheckResponse()
        if outcome is Outcome.GO:
            answer.ok_response.headers_to_remove.append(hold.MARK)
        else:
            answer.status.code = grpc.StatusCode.UNAVAILABLE.value[0]
            answer.denied_response.status.code = 503
            answer.denied_response.body = _WHY[outcome]
        return answer
