from voicehelper_core.gen.rag.v1 import rag_pb2 as _rag_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExecuteRequest(_message.Message):
    __slots__ = ("conversation_id", "mode", "content", "history")
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    conversation_id: str
    mode: str
    content: str
    history: _containers.RepeatedCompositeFieldContainer[_rag_pb2.Turn]
    def __init__(self, conversation_id: _Optional[str] = ..., mode: _Optional[str] = ..., content: _Optional[str] = ..., history: _Optional[_Iterable[_Union[_rag_pb2.Turn, _Mapping]]] = ...) -> None: ...
