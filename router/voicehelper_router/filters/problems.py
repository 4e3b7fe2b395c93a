"""The answers that Envoy gives itself, as problem documents that say what to do.

The body of a direct response (a suspended tenant, say) becomes the ``detail``; what Envoy says in its own words is
put into ours by status and cause. The request id finds the line of the access log, which has the trace.
"""

from __future__ import annotations

from typing import Any

from voicehelper_core import errors
from voicehelper_core.http import PROBLEM

from voicehelper_router import types
from voicehelper_router.filters import paths

_BODY = "%LOCAL_REPLY_BODY%"
RETRY_AFTER_SECONDS = 2
_SOMEBODY_ACTS_SECONDS = 60
ASLEEP_ROUTE = "asleep"
"""Name of the routes whose direct response says that a cell sleeps."""
LOG_IN = f"log in at {paths.IDENTITY_PREFIX}login and send 'Authorization: Bearer <token>'"
CONTRADICTION = (
    "the token belongs to another tenant than the request names: send X-Tenant-ID once, with the tenant that the token "
    "was issued for"
)
NO_TENANT = "there is no such tenant: it was removed, or its name is misspelt in X-Tenant-ID"
_NOT_WOKEN = "the tenant's cell sleeps and could not be woken now: try again in a moment"
_UPSTREAM = "the service behind the router did not answer: try again in a moment"


def _format(kind: type[errors.AppError], detail: str) -> dict[str, Any]:
    return {
        "json_format": {
            "type": kind("").problem().type,
            "title": kind.title,
            "status": "%RESPONSE_CODE%",
            "detail": detail,
            "instance": "%PATH(NQ)%",
            "request_id": "%REQ(X-REQUEST-ID)%",
        },
        "content_type": PROBLEM,
    }


def _status(code: int) -> dict[str, Any]:
    value = {"default_value": code, "runtime_key": f"router.status.{code}"}
    return {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}}


def _all(*filters: dict[str, Any]) -> dict[str, Any]:
    return {"and_filter": {"filters": list(filters)}}


def _cause(prefix: str) -> dict[str, Any]:
    return _cel(f"response.code_details.startsWith('{prefix}')")


def _cel(expression: str) -> dict[str, Any]:
    config = {"@type": types.CEL_FILTER, "expression": expression}
    return {"extension_filter": {"name": "envoy.access_loggers.extension_filters.cel", "typed_config": config}}


def _mapper(
    matches: dict[str, Any], kind: type[errors.AppError], detail: str, *, retry: int = 0, status: int | None = None
) -> dict[str, Any]:
    mapper: dict[str, Any] = {"filter": matches, "body_format_override": _format(kind, detail)}
    if status is not None:
        mapper["status_code"] = status
    if retry:
        after = {"header": {"key": "retry-after", "value": str(retry)}}
        mapper["headers_to_add"] = [{**after, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}]
    return mapper


def render() -> dict[str, Any]:
    """``local_reply_config`` of the connection manager: the first mapper that matches words the answer."""
    direct, no_route = _cause("direct_response"), _cause("route_not_found")
    return {
        "mappers": [
            {"filter": _status(200), "body_format_override": {"text_format_source": {"inline_string": _BODY}}},
            # Envoy says 403 for a token of another audience.
            _mapper(
                _cause("jwt_authn_access_denied"),
                errors.Unauthenticated,
                f"the access token was refused ({_BODY}): {LOG_IN}",
                status=401,
            ),
            _mapper(_all(_status(403), _cause("rbac_access_denied")), errors.PermissionDenied, CONTRADICTION),
            _mapper(_all(_status(403), direct), errors.PermissionDenied, _BODY),
            _mapper(_all(_status(404), no_route), errors.NotFound, NO_TENANT),
            _mapper(_all(_status(404), direct), errors.NotFound, _BODY),
            _mapper(
                _all(_status(503), direct, _cel(f"xds.route_name == '{ASLEEP_ROUTE}'")),
                errors.Asleep,
                _BODY,
                retry=_SOMEBODY_ACTS_SECONDS,
            ),
            # Held requests: what the control plane says about them, and what is said when it is not there.
            _mapper(
                _all(_status(503), _cause("ext_authz_denied")), errors.Unavailable, _BODY, retry=RETRY_AFTER_SECONDS
            ),
            _mapper(
                _all(_status(503), _cause("ext_authz_error")), errors.Unavailable, _NOT_WOKEN, retry=RETRY_AFTER_SECONDS
            ),
            _mapper(_all(_status(503), direct), errors.Unavailable, _BODY, retry=RETRY_AFTER_SECONDS),
            _mapper(_status(503), errors.Unavailable, _UPSTREAM, retry=RETRY_AFTER_SECONDS),
            _mapper(_status(502), errors.Unavailable, _UPSTREAM, retry=RETRY_AFTER_SECONDS, status=503),
            _mapper(_status(504), errors.DeadlineExceeded, "the service behind the router took too long"),
            _mapper(_status(413), errors.TooLarge, "the request is too large"),
            _mapper(_status(408), errors.InvalidArgument, "the request did not arrive in time"),
            # Envoy says 501 for a transfer coding that it does not know; that is a fault of the request.
            _mapper(
                _status(501),
                errors.InvalidArgument,
                "this Transfer-Encoding is not supported: send 'chunked', or a Content-Length",
                status=400,
            ),
            _mapper(_status(431), errors.InvalidArgument, "the request's headers are too large"),
            _mapper(
                _status(400),
                errors.InvalidArgument,
                "the request is malformed: escaped slashes in the path, underscores in header names and invalid HTTP "
                "are refused",
            ),
        ],
        "body_format": _format(errors.AppError, _BODY),
    }
