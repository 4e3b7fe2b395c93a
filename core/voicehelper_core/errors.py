"""Errors that people see: problem details over HTTP (RFC 9457) and the matching gRPC codes."""

from __future__ import annotations

from typing import Any

import asyncpg
import grpc
from pydantic import BaseModel, ConfigDict

from voicehelper_core import postgres

_TYPES = "https://voicehelper.io/problems/"


class Problem(BaseModel):
    """``application/problem+json``; ``type`` is a name, not a place to fetch from."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    trace_id: str | None = None


class AppError(Exception):
    """An expected failure: a stable ``code``, and a ``detail`` that says what to do."""

    status = 500
    code = "internal"
    title = "Internal error"
    grpc_code = grpc.StatusCode.INTERNAL

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra

    def problem(self, instance: str | None = None, trace_id: str | None = None) -> Problem:
        """The body of the HTTP answer."""
        return Problem(
            type=_TYPES + self.code,
            title=self.title,
            status=self.status,
            detail=self.detail,
            instance=instance,
            trace_id=trace_id,
            **self.extra,
        )


class InvalidArgument(AppError):
    status, code, title = 400, "invalid-argument", "Invalid request"
    grpc_code = grpc.StatusCode.INVALID_ARGUMENT


class Unauthenticated(AppError):
    status, code, title = 401, "unauthenticated", "Not authenticated"
    grpc_code = grpc.StatusCode.UNAUTHENTICATED


class PermissionDenied(AppError):
    status, code, title = 403, "permission-denied", "Not allowed"
    grpc_code = grpc.StatusCode.PERMISSION_DENIED


class NotFound(AppError):
    status, code, title = 404, "not-found", "Not found"
    grpc_code = grpc.StatusCode.NOT_FOUND


class Conflict(AppError):
    status, code, title = 409, "conflict", "Conflict"
    grpc_code = grpc.StatusCode.ALREADY_EXISTS


class TooLarge(AppError):
    status, code, title = 413, "too-large", "Too large"
    grpc_code = grpc.StatusCode.OUT_OF_RANGE


class UnsupportedMediaType(AppError):
    status, code, title = 415, "unsupported-media-type", "Unsupported media type"
    grpc_code = grpc.StatusCode.UNIMPLEMENTED


class Unprocessable(AppError):
    status, code, title = 422, "unprocessable", "Cannot be processed"
    grpc_code = grpc.StatusCode.FAILED_PRECONDITION


class QuotaExceeded(AppError):
    status, code, title = 429, "quota-exceeded", "Quota exceeded"
    grpc_code = grpc.StatusCode.RESOURCE_EXHAUSTED


class Unavailable(AppError):
    status, code, title = 503, "unavailable", "Temporarily unavailable"
    grpc_code = grpc.StatusCode.UNAVAILABLE


class Asleep(Unavailable):
    """The cell sleeps, and this request does not wake it."""

    code, title = "asleep", "Asleep"


class DeadlineExceeded(AppError):
    status, code, title = 504, "deadline-exceeded", "Took too long"
    grpc_code = grpc.StatusCode.DEADLINE_EXCEEDED


_BY_GRPC: dict[grpc.StatusCode, type[AppError]] = {
    kind.grpc_code: kind
    for kind in (
        InvalidArgument, Unauthenticated, PermissionDenied, NotFound, Conflict, TooLarge,
        UnsupportedMediaType, Unprocessable, QuotaExceeded, Unavailable, DeadlineExceeded,
    )
}  # fmt: skip


OURS = (("x-detail", "ours"),)
"""Trailing metadata of an error that a service of ours raised; grpc's own errors tell of addresses and sockets."""


def _raised_by_us(error: grpc.RpcError) -> bool:
    trailing = error.trailing_metadata() if hasattr(error, "trailing_metadata") else None
    return any(tuple(item) == OURS[0] for item in trailing or ())


def from_grpc(error: grpc.RpcError) -> AppError:
    """The error that a called service raised. What nobody expected is ``AppError`` (500) without details."""
    code = error.code() if hasattr(error, "code") else grpc.StatusCode.UNKNOWN
    kind = _BY_GRPC.get(code)
    if kind is None:
        return AppError("something went wrong on our side")
    if kind is Unavailable and not _raised_by_us(error):
        return Unavailable("a service cannot be reached: try again in a moment")
    return kind((error.details() if hasattr(error, "details") else None) or kind.title)


_STORE_AWAY = (
    ConnectionError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)
_NOT_STORABLE = (UnicodeError, asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)


def expected(error: BaseException) -> AppError | None:
    """The error to show for what code of others raised; None for what nobody expected.

    Characters that no store takes are the caller's mistake, wherever they are noticed.
    """
    if isinstance(error, AppError):
        return error
    if isinstance(error, grpc.RpcError):
        return from_grpc(error)
    if isinstance(error, _NOT_STORABLE) or isinstance(error.__cause__, UnicodeError):
        return InvalidArgument("the request has characters that cannot be stored (NUL or half of a surrogate pair)")
    if isinstance(error, postgres.NO_ROOM):
        return Unavailable("a store has no room left and stored nothing: try again when its disk has room")
    if isinstance(error, _STORE_AWAY) or (isinstance(error, asyncpg.InterfaceError) and "closed" in str(error)):
        return Unavailable("a store cannot be reached: try again in a moment")
    return None
