from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetUsageRequest(_message.Message):
    __slots__ = ("to", "cursor", "limit")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    to: str
    cursor: str
    limit: int
    def __init__(self, to: _Optional[str] = ..., cursor: _Optional[str] = ..., limit: _Optional[int] = ..., **kwargs) -> None: ...

class Minute(_message.Message):
    __slots__ = ("minute", "user_id", "message_count", "total_tokens", "total_cost", "user_message_count", "assistant_message_count")
    MINUTE_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COST_FIELD_NUMBER: _ClassVar[int]
    USER_MESSAGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    ASSISTANT_MESSAGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    minute: str
    user_id: str
    message_count: int
    total_tokens: int
    total_cost: str
    user_message_count: int
    assistant_message_count: int
    def __init__(self, minute: _Optional[str] = ..., user_id: _Optional[str] = ..., message_count: _Optional[int] = ..., total_tokens: _Optional[int] = ..., total_cost: _Optional[str] = ..., user_message_count: _Optional[int] = ..., assistant_message_count: _Optional[int] = ...) -> None: ...

class Totals(_message.Message):
    __slots__ = ("message_count", "total_tokens", "total_cost", "user_message_count", "assistant_message_count")
    MESSAGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COST_FIELD_NUMBER: _ClassVar[int]
    USER_MESSAGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    ASSISTANT_MESSAGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    message_count: int
    total_tokens: int
    total_cost: str
    user_message_count: int
    assistant_message_count: int
    def __init__(self, message_count: _Optional[int] = ..., total_tokens: _Optional[int] = ..., total_cost: _Optional[str] = ..., user_message_count: _Optional[int] = ..., assistant_message_count: _Optional[int] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("tenant_id", "to", "totals", "items", "next_cursor")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    to: str
    totals: Totals
    items: _containers.RepeatedCompositeFieldContainer[Minute]
    next_cursor: str
    def __init__(self, tenant_id: _Optional[str] = ..., to: _Optional[str] = ..., totals: _Optional[_Union[Totals, _Mapping]] = ..., items: _Optional[_Iterable[_Union[Minute, _Mapping]]] = ..., next_cursor: _Optional[str] = ..., **kwargs) -> None: ...
