"""The envelope of every event and its typed, versioned payloads. These models are the only schema.

A payload is found by type and version. Fields that a later version of the producer added are ignored, so that
consumers need not be upgraded first; a type or a version that nobody knows is an ``EventError``.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError, model_validator
from pydantic_core import from_json

from voicehelper_core import trace
from voicehelper_core.context import TenantContext

Count = Annotated[int, Field(ge=0, lt=2**32)]


class EventError(ValueError):
    """Bytes that are no event of ours, and why."""


class Payload(BaseModel):
    """What an event says, beyond the envelope."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True, protected_namespaces=())

    EVENT_TYPE: ClassVar[str]
    EVENT_VERSION: ClassVar[int] = 1


class ConversationCreated(Payload):
    EVENT_TYPE: ClassVar[str] = "conversation.created"

    conversation_id: uuid.UUID
    title: str
    mode: Literal["chat", "agent", "workflow"] = "chat"


class MessageSent(Payload):
    EVENT_TYPE: ClassVar[str] = "conversation.message.sent"

    conversation_id: uuid.UUID
    message_id: uuid.UUID
    role: Literal["user", "assistant"]
    content: str
    model: str = ""
    """Which model answered; empty for a user's message."""
    tokens_used: Count = 0
    cost_usd: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)] = Decimal(0)


class DocumentUploaded(Payload):
    EVENT_TYPE: ClassVar[str] = "document.uploaded"

    document_id: uuid.UUID
    revision: Annotated[int, Field(ge=0)]
    """Rises with every replacement, so that an old upload is never indexed over a new one."""
    title: str
    media_type: str


class DocumentIndexed(Payload):
    EVENT_TYPE: ClassVar[str] = "document.indexed"

    document_id: uuid.UUID
    chunk_count: Count
    vector_count: Count
    graph_node_count: Count = 0


class DocumentDeleted(Payload):
    EVENT_TYPE: ClassVar[str] = "document.deleted"

    document_id: uuid.UUID


class TaskCompleted(Payload):
    EVENT_TYPE: ClassVar[str] = "task.completed"

    task_id: uuid.UUID
    task_type: str
    result: dict[str, Any] = Field(default_factory=dict)


class TaskFailed(Payload):
    EVENT_TYPE: ClassVar[str] = "task.failed"

    task_id: uuid.UUID
    task_type: str
    error: str


class SagaCompleted(Payload):
    EVENT_TYPE: ClassVar[str] = "saga.completed"

    saga_id: uuid.UUID
    type: str
    document_id: uuid.UUID


class CacheInvalidation(Payload):
    EVENT_TYPE: ClassVar[str] = "cache.invalidation"

    key: str
    time: AwareDatetime


PAYLOADS: dict[tuple[str, int], type[Payload]] = {
    (kind.EVENT_TYPE, kind.EVENT_VERSION): kind
    for kind in (
        ConversationCreated, MessageSent, DocumentUploaded, DocumentIndexed, DocumentDeleted,
        TaskCompleted, TaskFailed, SagaCompleted, CacheInvalidation,
    )
}  # fmt: skip


class Envelope(BaseModel):
    """A ``DomainEvent``: who did what to which aggregate, when."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    event_id: uuid.UUID
    """The same in every delivery of the event."""
    event_type: str
    event_version: int
    aggregate_id: Annotated[str, Field(min_length=1)]
    """Key of the Kafka record: events of one aggregate stay in order."""
    aggregate_type: Annotated[str, Field(min_length=1)]
    tenant_id: Annotated[str, Field(min_length=1)]
    user_id: str
    timestamp: AwareDatetime
    payload: SerializeAsAny[Payload]
    metadata: dict[str, Any] = Field(default_factory=dict)
    """``traceparent`` and ``request_id`` of the call that caused the event."""

    @model_validator(mode="before")
    @classmethod
    def _typed_payload(cls, data: Any) -> Any:
        """Choose the payload's model by type and version."""
        if not isinstance(data, dict) or isinstance(data.get("payload"), Payload):
            return data
        kind, version = data.get("event_type"), data.get("event_version")
        model = PAYLOADS.get((kind, version)) if isinstance(kind, str) and isinstance(version, int) else None
        if model is None:
            versions = sorted(known for name, known in PAYLOADS if name == kind)
            if versions:
                raise ValueError(f"version {version!r} of event '{kind}' is not known (known: {versions})")
            raise ValueError(f"event type {kind!r} is not known")
        return {**data, "payload": model.model_validate(data.get("payload"))}

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if (self.event_type, self.event_version) != (self.payload.EVENT_TYPE, self.payload.EVENT_VERSION):
            raise ValueError(f"the payload is a {self.payload.EVENT_TYPE}, not a {self.event_type}")
        return self

    @classmethod
    def new(cls, who: TenantContext, payload: Payload, *, aggregate_id: object, aggregate_type: str) -> Self:
        """An event that happens now, on behalf of ``who``."""
        return cls(
            event_id=uuid.uuid4(),
            event_type=payload.EVENT_TYPE,
            event_version=payload.EVENT_VERSION,
            aggregate_id=str(aggregate_id),
            aggregate_type=aggregate_type,
            tenant_id=who.tenant_id,
            user_id=who.user_id,
            timestamp=datetime.now(UTC),
            payload=payload,
            metadata={"traceparent": trace.inject(), "request_id": who.request_id},
        )

    @classmethod
    def parse(cls, raw: bytes | str) -> Self:
        """The event in a record's value. Raises EventError; the reason quotes no contents."""
        try:
            document = from_json(raw, allow_inf_nan=False)
        except ValueError as error:
            raise EventError(f"not JSON: {error}") from None
        if not isinstance(document, dict):
            raise EventError(f"an event is a JSON object, not a {type(document).__name__}")
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise EventError(_reason(error)) from None

    def to_json(self) -> str:
        """One line of JSON, the same for the same event."""
        return self.model_dump_json()


def _reason(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(
        f"{path}: {item['msg']}" if (path := ".".join(map(str, item["loc"]))) else item["msg"] for item in problems
    )
