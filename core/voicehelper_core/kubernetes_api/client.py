"""Requests to the Kubernetes API by the official client, and its errors as ours."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.connector import Connection
from kubernetes.aio import client, config
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.dynamic import DynamicClient

from voicehelper_core import errors
from voicehelper_core.kubernetes_api import metrics
from voicehelper_core.kubernetes_api.kinds import SELF_REVIEW, Kind, kind_of

Object = dict[str, Any]
_PAGE = 500
"""Objects in one answer of a list, as client-go asks for them."""
_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5)
_WATCH_SECONDS = 240
_TLS_GOODBYE_SECONDS = 0.1
"""aiohttp does not wait until the transports of TLS are closed."""
_APPLY, _MERGE = "application/apply-patch+yaml", "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the API server is and with which files one speaks to it, for clients that are not this one."""

    server: str
    ca: str | None
    certificate: str | None
    key: str | None
    authorization: str | None
    """The header's value."""


class Gone(errors.Unavailable):
    """What a watch or a list wanted to go on from is not kept any more: list anew."""


_fence: ContextVar[Callable[[], None]] = ContextVar("fence", default=lambda: None)


class _FencedRequest(aiohttp.ClientRequest):
    """Asks the fence when there is a connection: between a question before that and the bytes others are at work."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        _fence.get()()
        return await super().send(conn)


async def connect(kubeconfig: Path | None = None) -> Api:
    """The API of a kubeconfig, or of the cluster that this process runs in. Raises Unavailable."""
    settings = client.Configuration()
    try:
        if kubeconfig is not None:
            await config.load_kube_config(str(kubeconfig), client_configuration=settings, persist_config=False)  # type: ignore[no-untyped-call]
        else:
            config.load_incluster_config(settings)  # type: ignore[no-untyped-call]
    except (config.ConfigException, OSError) as error:
        raise errors.Unavailable(f"there is no Kubernetes to speak to: {error}") from None
    settings.client_session_kwargs = {"trust_env": False, "request_class": _FencedRequest}
    return Api(client.ApiClient(settings))


class Api:
    """One cluster's API. Raises errors.AppError: NotFound, Conflict, InvalidArgument, PermissionDenied, Unavailable."""

    def __init__(self, transport: client.ApiClient, fence: Callable[[], None] = lambda: None) -> None:
        self._transport, self._fence = transport, fence
        self._client = DynamicClient(transport)  # type: ignore[no-untyped-call]

    def fenced(self, fence: Callable[[], None]) -> Api:
        """The same connections; ``fence`` is called right before each write is sent, and may raise."""
        return Api(self._transport, fence)

    async def endpoint(self) -> Endpoint:
        """As this client speaks to it; a service account's token is read anew."""
        settings = self._transport.configuration
        token = await settings.get_api_key_with_prefix("BearerToken")
        return Endpoint(settings.host, settings.ssl_ca_cert, settings.cert_file, settings.key_file, token)

    async def whoami(self) -> str:
        """The name that the API server knows this client by."""
        review = {"apiVersion": SELF_REVIEW.api_version, "kind": SELF_REVIEW.name, "metadata": {}}
        answer = await self.create(review, manager="voicehelper")
        return str(answer["status"]["userInfo"]["username"])

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()  # type: ignore[no-untyped-call]
        await asyncio.sleep(_TLS_GOODBYE_SECONDS)

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> Object:
        """One object."""
        return await self._json("get", "GET", kind, kind.path(namespace, name))

    async def list(
        self, kind: Kind, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> tuple[list[Object], str]:
        """All objects that the selectors choose, and the version that a watch can go on from."""
        found: list[Object] = []
        version = ""
        async for items, at in self.pages(kind, namespace, labels=labels, fields=fields):
            found += items
            version = at
        return found, version

    async def pages(
        self, kind: Kind, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> AsyncGenerator[tuple[builtins.list[Object], str]]:
        """The same, some hundred objects at a time: never are all of them in memory."""
        query = {"labelSelector": labels, "fieldSelector": fields, "limit": str(_PAGE), "continue": ""}
        while True:
            answer = await self._json("list", "GET", kind, kind.path(namespace), query=query)
            yield answer["items"], answer["metadata"]["resourceVersion"]
            query["continue"] = answer["metadata"].get("continue", "")
            if not query["continue"]:
                return

    async def create(self, manifest: Mapping[str, Any], *, manager: str) -> Object:
        """Raises Conflict where it exists."""
        kind = kind_of(dict(manifest))
        path = kind.path(manifest["metadata"].get("namespace"))
        query = {"fieldManager": manager, "fieldValidation": "Strict"}
        return await self._json("create", "POST", kind, path, body=manifest, query=query)

    async def apply(
        self, manifest: Mapping[str, Any], *, manager: str, force: bool = False, subresource: str = ""
    ) -> Object:
        """Server-side apply: what the manager says holds, what it does not say any more goes.

        Raises Conflict, with ``extra["fields"]``, where others own a field and want something else.
        """
        kind, meta = kind_of(dict(manifest)), manifest["metadata"]
        path = kind.path(meta.get("namespace"), meta["name"], subresource)
        query = {"fieldManager": manager, "force": "true" if force else "false", "fieldValidation": "Strict"}
        return await self._json("apply", "PATCH", kind, path, body=manifest, query=query, content=_APPLY)

    async def merge(
        self, kind: Kind, name: str, change: Mapping[str, Any], *, manager: str, namespace: str | None = None
    ) -> Object:
        """JSON merge patch."""
        path = kind.path(namespace, name)
        return await self._json(
            "patch", "PATCH", kind, path, body=change, query={"fieldManager": manager}, content=_MERGE
        )

    async def replace(self, manifest: Mapping[str, Any], *, manager: str) -> Object:
        """Put it in the place of the version that it names."""
        kind, meta = kind_of(dict(manifest)), manifest["metadata"]
        path = kind.path(meta.get("namespace"), meta["name"])
        return await self._json("update", "PUT", kind, path, body=manifest, query={"fieldManager": manager})

    async def delete(
        self, kind: Kind, name: str, namespace: str | None = None, *, uid: str | None = None, foreground: bool = False
    ) -> None:
        """Ask for deletion; of this uid only, where one is given. What is gone already is done."""
        body: Object = {"propagationPolicy": "Foreground" if foreground else "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        with contextlib.suppress(errors.NotFound):
            await self._json("delete", "DELETE", kind, kind.path(namespace, name), body=body)

    async def text(self, kind: Kind, path: str) -> str:
        """What is not JSON, such as the API server's metrics."""
        response = await self._send("get", "GET", kind, path)
        content: bytes = await response.read()
        return content.decode(errors="replace")

    async def watch(
        self, kind: Kind, version: str, *, namespace: str | None = None, labels: str = "", fields: str = ""
    ) -> AsyncIterator[tuple[str, Object]]:
        """Types (ADDED, MODIFIED, DELETED, BOOKMARK) and objects after ``version``, for some minutes.

        Raises Gone when the version is too old.
        """
        query = {
            "watch": "true", "resourceVersion": version, "labelSelector": labels, "fieldSelector": fields,
            "allowWatchBookmarks": "true", "timeoutSeconds": str(_WATCH_SECONDS),
        }  # fmt: skip
        # A server that is gone without a word would be waited for for ever.
        patience = aiohttp.ClientTimeout(total=_WATCH_SECONDS + 30, sock_connect=5)
        response = await self._send("watch", "GET", kind, kind.path(namespace), query=query, timeout=patience)
        try:
            async for line in _lines(response.content):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise _from_status(event["object"])
                yield event["type"], event["object"]
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _unavailable(error) from None
        finally:
            response.close()

    async def _json(self, verb: str, method: str, kind: Kind, path: str, **arguments: Any) -> Object:
        response = await self._send(verb, method, kind, path, **arguments)
        try:
            answer: Object = json.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:  # the last: a proxy's own words
            raise _unavailable(error) from None
        return answer

    async def _send(
        self,
        verb: str,
        method: str,
        kind: Kind,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        content: str | None = None,
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> Any:
        pairs = [(key, value) for key, value in (query or {}).items() if value]
        fenced = _fence.set(self._fence if method != "GET" else lambda: None)
        code = "0"
        try:
            response = await self._client.request(
                method, path, body=body, query_params=pairs, content_type=content, serialize=False,
                _request_timeout=timeout or _TIMEOUT,
            )  # fmt: skip
            code = str(response.status)
        except ApiException as error:
            code = str(error.status)
            raise _translated(error) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unavailable(error) from None
        finally:
            _fence.reset(fenced)
            metrics.REQUESTS.labels(verb, kind.name, code).inc()
        return response


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length: aiohttp's own have a limit. Raises ClientPayloadError where the last one has no end."""
    parts: list[bytes] = []
    async for chunk in content.iter_any():
        *ended, rest = chunk.split(b"\n")
        for line in ended:
            yield b"".join((*parts, line))
            parts.clear()
        if rest:
            parts.append(rest)
    if parts:
        raise aiohttp.ClientPayloadError("the answer ends in the middle of a line")


def _unavailable(error: Exception) -> errors.Unavailable:
    return errors.Unavailable(f"the Kubernetes API does not answer ({type(error).__name__}: {error})"[:300])


def _translated(error: ApiException) -> errors.AppError:
    try:
        status = json.loads(error.body or "")
    except ValueError:
        status = {}
    told = status if isinstance(status, dict) else {}
    return _from_status({"message": str(error.reason), **told, "code": error.status})


def _from_status(status: Mapping[str, Any]) -> errors.AppError:
    """Of a ``Status`` object; its causes with their fields."""
    code, message = int(status.get("code") or 500), str(status.get("message") or status.get("reason") or "no message")
    causes: Sequence[Mapping[str, Any]] = (status.get("details") or {}).get("causes") or ()
    match code:
        case 400 | 422:
            problems = [{"path": str(item.get("field", "")), "reason": str(item.get("message", ""))} for item in causes]
            return errors.InvalidArgument(message, errors=problems)
        case 401:
            return errors.Unauthenticated(message)
        case 403:
            return errors.PermissionDenied(message)
        case 404:
            return errors.NotFound(message)
        case 409:
            fields = [str(item.get("field", "")) for item in causes if item.get("reason") == "FieldManagerConflict"]
            return errors.Conflict(message, **({"fields": fields} if fields else {}))
        case 410:
            return Gone(message)
        case _:
            return errors.Unavailable(f"the Kubernetes API answers {code}: {message}"[:500])
