"""FastAPI applications that all answer errors, health and metrics alike."""

from __future__ import annotations

import contextlib
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import asyncpg
import grpc
import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voicehelper_core import errors, metrics, trace
from voicehelper_core.log import get_logger

log = get_logger(__name__)
PROBLEM = "application/problem+json"
_QUIET = {"/healthz", "/readyz", "/metrics", "/cells/activity", "/cells/held"}
_RETRY = {"Retry-After": "1"}
_SHAPE = {"content": {PROBLEM: {"schema": errors.Problem.model_json_schema()}}}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "Refused: `detail` says what to do", **_SHAPE},
    "5XX": {"description": "Failed on the server's side; 503 says when to try again", **_SHAPE},
}
_REQUEST_ID = re.compile(r"[!-~]{1,128}")


class _ProblemResponse(Response):
    media_type = PROBLEM

    def render(self, content: Any) -> bytes:
        return json.dumps(content).encode()  # ASCII, so that no echoed character can break the answer


def problem_response(
    error: errors.AppError, instance: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer for an expected failure."""
    span = trace.current()
    body = error.problem(instance, span.trace_id if span else None).model_dump(exclude_none=True)
    later = {"Retry-After": str(error.extra["retry_after"])} if "retry_after" in error.extra else _RETRY
    own = {401: {"WWW-Authenticate": 'Bearer realm="voicehelper"'}, 429: later, 503: later}.get(error.status, {})
    return _ProblemResponse(body, status_code=error.status, headers={**own, **(headers or {})})


class Telemetry:
    """Trace context, request id, one log line and the metrics of every request; pure ASGI, so streams flow."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self.app, self.service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        request_id = headers.get("x-request-id", "")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", []),
                    (b"x-request-id", request_id.encode("latin-1")),
                ]
            await send(message)

        with trace.use(trace.extract(headers)):
            try:
                await self.app(scope, receive, sending)
            finally:
                seconds = time.perf_counter() - started
                route = getattr(scope.get("route"), "path", "unmatched")
                metrics.HTTP_REQUESTS.labels(self.service, scope["method"], route, str(status)).inc()
                metrics.HTTP_SECONDS.labels(self.service, scope["method"], route).observe(seconds)
                if scope["path"] not in _QUIET:
                    log.info(
                        "request",
                        method=scope["method"],
                        route=route,
                        status=status,
                        duration_ms=round(seconds * 1e3, 1),
                        request_id=request_id,
                    )


def _validation(error: RequestValidationError) -> errors.AppError:
    problems = [{"path": ".".join(str(part) for part in item["loc"]), "reason": item["msg"]} for item in error.errors()]
    first = problems[0] if problems else {"path": "body", "reason": "invalid"}
    return errors.InvalidArgument(f"{first['path']}: {first['reason']}", errors=problems)


_STATUS: dict[int, type[errors.AppError]] = {
    kind.status: kind for kind in errors.AppError.__subclasses__()
}  # fmt: skip


def _http(error: HTTPException) -> errors.AppError:
    kind = _STATUS.get(error.status_code, errors.InvalidArgument if error.status_code < 500 else errors.AppError)
    result = kind(str(error.detail))
    result.status = error.status_code  # 405 and the like keep their number
    if error.status_code == 405:
        result.code, result.title = "method-not-allowed", "Method not allowed"
    return result


def _allowed(request: Request) -> list[str]:
    """Methods of all routes of a path; Starlette names those of the first only."""
    found = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in found for method in getattr(route, "methods", None) or ()})


def create_app(title: str, *, version: str, lifespan: Callable[[FastAPI], Any] | None = None) -> FastAPI:
    """An application with problem details, telemetry, ``/healthz``, ``/readyz`` and ``/metrics``.

    ``app.state.ready`` may hold an async function that returns None when ready, or the reason why not;
    ``app.state.note`` one that returns what to add to ``ready`` (serving, but from old data, say), or None.
    """
    app = FastAPI(title=title, version=version, lifespan=lifespan, docs_url=None, redoc_url=None, responses=_PROBLEMS)
    app.state.ready = app.state.note = None

    @app.exception_handler(errors.AppError)
    async def _app_error(request: Request, error: errors.AppError) -> Response:
        if error.status >= 500:
            log.error("failed", detail=error.detail, code=error.code)
        return problem_response(error, request.url.path)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        return problem_response(_validation(error), request.url.path)

    @app.exception_handler(HTTPException)
    async def _http_error(request: Request, error: HTTPException) -> Response:
        headers = {"Allow": ", ".join(_allowed(request))} if error.status_code == 405 else error.headers
        return problem_response(_http(error), request.url.path, headers)

    async def _expected_error(request: Request, error: Exception) -> Response:
        known = errors.expected(error) or errors.AppError("something went wrong on our side")
        if known.status >= 500:
            log.error("failed", detail=known.detail, error_type=type(error).__name__, exc_info=error)
        return problem_response(known, request.url.path)

    for kind in (
        grpc.RpcError,
        UnicodeError,
        ConnectionError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        Exception,
    ):
        app.add_exception_handler(kind, _expected_error)

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return PlainTextResponse("ok\n")

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        reason = await app.state.ready() if app.state.ready else None
        if reason:
            return problem_response(errors.Unavailable(reason), "/readyz")
        note = await app.state.note() if app.state.note else None
        return PlainTextResponse(f"ready: {note}\n" if note else "ready\n")

    @app.get("/metrics", include_in_schema=False)
    async def exposition() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    app.add_middleware(Telemetry, service=title)
    return app


class Server(uvicorn.Server):
    """The process handles signals itself: it has more to stop than this server."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve_http(app: ASGIApp, host: str, port: int) -> uvicorn.Server:
    """A server; ``await server.serve()`` runs it until ``server.should_exit`` is set."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=3,
        timeout_keep_alive=75,  # longer than the router's idle time, so that it never reuses a closed connection
        lifespan="on",
    )
    return Server(config)
