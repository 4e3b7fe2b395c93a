"""Publishes an event in the transaction of the change that it tells of."""

from __future__ import annotations

import uuid

import asyncpg
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import PermissionDenied
from voicehelper_core.events import Envelope, Payload


async def publish(
    connection: asyncpg.Connection,
    who: TenantContext,
    payload: Payload,
    *,
    aggregate_id: uuid.UUID | str,
    aggregate_type: str,
) -> Envelope:
    """Write the envelope to the outbox of the session's schema; a trigger of its owner chooses the topic.

    Raises PermissionDenied for a tenant that is not placed in the cell: it left while the request was at work.
    """
    envelope = Envelope.new(who, payload, aggregate_id=str(aggregate_id), aggregate_type=aggregate_type)
    try:
        await connection.execute(
            "INSERT INTO outbox (id, aggregatetype, aggregateid, type, tenant_id, payload)"
            " VALUES ($1, $2, $3, $4, $5, $6)",
            envelope.event_id,
            aggregate_type,
            envelope.aggregate_id,
            envelope.event_type,
            who.tenant_id,
            envelope.to_json().encode(),
        )
    except asyncpg.InsufficientPrivilegeError:
        raise PermissionDenied("the tenant is not in this cell any more: send the request again") from None
    return envelope
