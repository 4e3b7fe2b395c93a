"""The API as the aggregation layer calls it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from voicehelper_core.errors import AppError, NotFound, Unavailable
from voicehelper_core.log import get_logger

from voicehelper_operator.metrics_adapter import documents, metrics
from voicehelper_operator.metrics_adapter.documents import API_VERSION, GROUP, METRIC, Document, Value
from voicehelper_operator.metrics_adapter.rates import Rate
from voicehelper_operator.metrics_adapter.selectors import matcher
from voicehelper_operator.metrics_adapter.targets import Target, Targets
from voicehelper_operator.metrics_adapter.trust import Caller, Trust

log = get_logger(__name__)
PEER = "peer"
"""Where a request's state has the common name of the client's certificate."""
Answer = Callable[[Request, Caller], Awaitable[Document]]


class Rating(Protocol):
    """Knows the rates."""

    def rate(self, target: Target) -> Rate | None: ...


class Checking(Protocol):
    """Knows who may read."""

    async def check(self, caller: Caller, namespace: str, pod: str) -> None: ...


class CustomMetrics:
    """Answers from what was read last; nothing is asked of a pod while a request waits."""

    def __init__(self, targets: Targets, rating: Rating, access: Checking) -> None:
        self._targets, self._rating, self._access = targets, rating, access
        self.trust: Trust | None = None

    def asgi(self) -> Starlette:
        """The application. Whoever the API server vouches for may discover the API; values need a right."""
        root = f"/apis/{API_VERSION}"
        routes = {
            "/apis": _fixed(documents.groups()),
            f"/apis/{GROUP}": _fixed(documents.group()),
            root: _fixed(documents.resources()),
            root + "/namespaces/{namespace}/pods/{pod}/" + METRIC: self._values,
        }
        return Starlette(
            routes=[Route(path, self._guarded(answer), methods=["GET"]) for path, answer in routes.items()],
            exception_handlers={HTTPException: _http, Exception: _unexpected},
        )

    def _guarded(self, answer: Answer) -> Callable[[Request], Awaitable[JSONResponse]]:
        async def endpoint(request: Request) -> JSONResponse:
            try:
                if self.trust is None:
                    raise Unavailable("it is not known yet whom to believe")
                caller = self.trust.caller(getattr(request.state, PEER, None), request.headers)
                document, code = await answer(request, caller), 200
            except AppError as error:
                document, code = documents.status(error.status, error.detail), error.status
            return _json(document, code)

        return endpoint

    async def _values(self, request: Request, caller: Caller) -> Document:
        namespace, pod = request.path_params["namespace"], request.path_params["pod"]
        await self._access.check(caller, namespace, pod)
        if not self._targets.synced:
            raise Unavailable("the pods have not been listed yet")
        chosen = matcher(request.query_params.get("labelSelector", ""))
        if not matcher(request.query_params.get("metricLabelSelector", ""))({}):  # the metric has no labels
            return documents.values([])
        found = [
            value
            for target in self._targets.of(namespace)
            if pod in ("*", target.name) and chosen(target.labels) and (value := self._value(target)) is not None
        ]
        if pod != "*" and not found:
            raise NotFound(f"{METRIC} of pod {namespace}/{pod} is not known")
        return documents.values(found)

    def _value(self, target: Target) -> Value | None:
        rate = self._rating.rate(target)
        if rate is None:
            return None
        at = datetime.now(UTC) - timedelta(seconds=time.monotonic() - rate.at)
        return Value(target.namespace, target.name, rate.per_second, rate.window, at)


def _fixed(document: Document) -> Answer:
    async def answer(*_: Any) -> Document:
        return document

    return answer


def _json(document: Document, code: int) -> JSONResponse:
    metrics.ANSWERS.labels(str(code)).inc()
    return JSONResponse(document, code)


async def _http(_: Request, error: Exception) -> JSONResponse:
    code = error.status_code if isinstance(error, HTTPException) else 500
    message = "the server could not find the requested resource" if code == 404 else str(getattr(error, "detail", ""))
    return _json(documents.status(code, message), code)


async def _unexpected(_: Request, error: Exception) -> JSONResponse:
    log.error("failed", error_type=type(error).__name__, exc_info=error)
    return _json(documents.status(500, "something went wrong on our side"), 500)
