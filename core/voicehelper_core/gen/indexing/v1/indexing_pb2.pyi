from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class IndexDocumentRequest(_message.Message):
    __slots__ = ("document_id", "revision")
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    document_id: str
    revision: int
    def __init__(self, document_id: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class IndexDocumentResponse(_message.Message):
    __slots__ = ("chunk_count", "vector_count")
    CHUNK_COUNT_FIELD_NUMBER: _ClassVar[int]
    VECTOR_COUNT_FIELD_NUMBER: _ClassVar[int]
    chunk_count: int
    vector_count: int
    def __init__(self, chunk_count: _Optional[int] = ..., vector_count: _Optional[int] = ...) -> None: ...
