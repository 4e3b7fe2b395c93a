from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EnsureTenantRequest(_message.Message):
    __slots__ = ("name", "tenant_id", "admin_email", "admin_display_name", "admin_password", "max_users")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    ADMIN_EMAIL_FIELD_NUMBER: _ClassVar[int]
    ADMIN_DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    ADMIN_PASSWORD_FIELD_NUMBER: _ClassVar[int]
    MAX_USERS_FIELD_NUMBER: _ClassVar[int]
    name: str
    tenant_id: str
    admin_email: str
    admin_display_name: str
    admin_password: str
    max_users: int
    def __init__(self, name: _Optional[str] = ..., tenant_id: _Optional[str] = ..., admin_email: _Optional[str] = ..., admin_display_name: _Optional[str] = ..., admin_password: _Optional[str] = ..., max_users: _Optional[int] = ...) -> None: ...

class EnsureTenantResponse(_message.Message):
    __slots__ = ("admin_ready", "message", "users")
    ADMIN_READY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    admin_ready: bool
    message: str
    users: int
    def __init__(self, admin_ready: _Optional[bool] = ..., message: _Optional[str] = ..., users: _Optional[int] = ...) -> None: ...

class RemoveTenantRequest(_message.Message):
    __slots__ = ("tenant_id",)
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    def __init__(self, tenant_id: _Optional[str] = ...) -> None: ...

class RemoveTenantResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class IssueServiceTokenRequest(_message.Message):
    __slots__ = ("tenant", "tenant_id", "scope")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    tenant_id: str
    scope: str
    def __init__(self, tenant: _Optional[str] = ..., tenant_id: _Optional[str] = ..., scope: _Optional[str] = ...) -> None: ...

class IssueServiceTokenResponse(_message.Message):
    __slots__ = ("access_token", "expires_at")
    ACCESS_TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    access_token: str
    expires_at: int
    def __init__(self, access_token: _Optional[str] = ..., expires_at: _Optional[int] = ...) -> None: ...

class ExportUsersRequest(_message.Message):
    __slots__ = ("tenant_id",)
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    def __init__(self, tenant_id: _Optional[str] = ...) -> None: ...

class ArchivedUser(_message.Message):
    __slots__ = ("id", "email", "display_name", "password_hash", "status", "roles", "created_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_HASH_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    email: str
    display_name: str
    password_hash: str
    status: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    created_at: str
    def __init__(self, id: _Optional[str] = ..., email: _Optional[str] = ..., display_name: _Optional[str] = ..., password_hash: _Optional[str] = ..., status: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., created_at: _Optional[str] = ...) -> None: ...

class ImportUsersRequest(_message.Message):
    __slots__ = ("tenant_id", "tenant", "user")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    tenant: str
    user: ArchivedUser
    def __init__(self, tenant_id: _Optional[str] = ..., tenant: _Optional[str] = ..., user: _Optional[_Union[ArchivedUser, _Mapping]] = ...) -> None: ...

class RenamedUser(_message.Message):
    __slots__ = ("id", "new_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    NEW_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    new_id: str
    def __init__(self, id: _Optional[str] = ..., new_id: _Optional[str] = ...) -> None: ...
