"""HTTP client of the platform's API, through the router, as a tenant's or the platform's admin."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx
from voicehelper_core.names import PUBLIC_TENANT, admin_secret

from voicehelper_cli.context import Home
from voicehelper_cli.failures import Failure, NotRunning
from voicehelper_cli.sse import ServerEvent, events

_RETRIED = (429, 503)
_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
_REFRESH_BEFORE_SECONDS = 60
_MAX_RETRY_AFTER_SECONDS = 60.0
_LONG_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who logs in, and where."""

    tenant: str
    email: str
    password: str


class ApiError(Failure):
    """The API refused a request; ``detail`` is the problem document's."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{detail} (HTTP {status})")
        self.status, self.detail = status, detail


class StreamBroken(Failure):
    """An answer ended in the middle; what is missing can be asked for by the last event's id."""


async def platform_credentials(home: Home) -> Credentials:
    """The platform admin's. Raises NotRunning before the first `up`."""
    secret = await home.secret("platform-admin")
    if secret is None:
        raise NotRunning
    return Credentials(PUBLIC_TENANT, secret["email"], secret["password"])


async def tenant_credentials(home: Home, tenant: str) -> Credentials:
    """The admin's of a tenant that identity knows already. Raises Failure."""
    from voicehelper_crds.models import Tenant

    from voicehelper_cli.resources import find, open_resources

    async with open_resources(home) as resources:
        resource = await find(resources.store, Tenant, tenant)
    tenant_id = resource.status.tenant_id
    secret = await home.secret(admin_secret(tenant_id)) if tenant_id else None
    if secret is None:
        raise Failure(
            f"tenant/{tenant} has no admin yet: wait with"
            f" `voicehelper wait tenant/{tenant} --for condition=IdentityReady`"
        )
    return Credentials(secret.get("tenant", tenant), secret["email"], secret["password"])


def problem_of(response: httpx.Response) -> ApiError:
    """What a refusal says: the problem document's detail and its field errors, or the text."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return ApiError(response.status_code, response.text.strip()[:300] or response.reason_phrase or "refused")
    detail = str(body.get("detail") or body.get("title") or "refused")
    fields = [
        f"{item.get('path')}: {item.get('reason')}"
        for item in (body.get("errors") or [])
        if isinstance(item, dict) and f"{item.get('path')}: {item.get('reason')}" != detail
    ]
    return ApiError(response.status_code, "; ".join([detail, *fields]))


class RouterClient:
    """Logs in at the first call and again before the token ends. Use it as an async context manager."""

    def __init__(self, url: str, credentials: Credentials, *, transport: httpx.AsyncBaseTransport | None = None):
        self._credentials = credentials
        self._http = httpx.AsyncClient(
            base_url=url,
            timeout=httpx.Timeout(60, connect=5),
            limits=httpx.Limits(max_connections=32),
            trust_env=False,
            transport=transport,
        )
        self._token, self._until = "", 0.0
        self._login = asyncio.Lock()

    async def __aenter__(self) -> RouterClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def token(self, *, fresh: bool = False) -> str:
        """An access token that holds for a minute at least. Raises ApiError, NotRunning."""
        async with self._login:
            if fresh or time.monotonic() >= self._until:
                who = self._credentials
                body = {"tenant": who.tenant, "email": who.email, "password": who.password}
                answer = await self._send("POST", "/api/v1/identity/login", {}, json=body)
                if answer.is_error:
                    raise problem_of(answer)
                pair = answer.json()
                self._token = str(pair["access_token"])
                self._until = time.monotonic() + int(pair.get("expires_in", 300)) - _REFRESH_BEFORE_SECONDS
            return self._token

    async def request(self, method: str, path: str, **arguments: Any) -> Any:
        """The JSON of an answer (None for an empty one); waits and repeats on 429 and 503. Raises ApiError."""
        key = _key(method, arguments.get("json"))
        response = await self._send(method, path, {**await self._headers(), **key}, **arguments)
        if response.status_code == 401:
            response = await self._send(method, path, {**await self._headers(fresh=True), **key}, **arguments)
        if response.is_error:
            raise problem_of(response)
        return response.json() if response.content else None

    async def pages(self, path: str, params: Mapping[str, Any] | None = None) -> AsyncIterator[dict[str, Any]]:
        """Every item of a list, page after page."""
        cursor = ""
        while True:
            query = {**(params or {}), **({"cursor": cursor} if cursor else {})}
            page = await self.request("GET", path, params=query)
            for item in page["items"]:
                yield item
            cursor = page.get("next_cursor") or ""
            if not cursor:
                return

    async def stream(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, after: str = ""
    ) -> AsyncIterator[ServerEvent]:
        """The server-sent events of an answer, from the one after ``after``. Raises ApiError, StreamBroken."""
        headers = {**await self._headers(), **_key(method, body), "Accept": "text/event-stream"}
        if after:
            headers["Last-Event-ID"] = after
        for pause in (*_BACKOFF_SECONDS, None):
            try:
                async with self._http.stream(method, path, json=body, headers=headers) as response:
                    if not response.is_error:
                        async for event in events(response.aiter_text()):
                            yield event
                        return
                    await response.aread()
            except httpx.ConnectError:
                raise NotRunning from None
            except httpx.HTTPError as error:
                raise StreamBroken(f"the stream broke off: {str(error) or type(error).__name__}") from None
            if response.status_code not in _RETRIED or pause is None:
                raise problem_of(response)
            await asyncio.sleep(max(pause, _retry_after(response)))

    async def download(self, path: str) -> AsyncIterator[bytes]:
        """The bytes of an answer as they come. Raises ApiError, StreamBroken where it ends too early."""
        async with self._opened("GET", path) as response:
            async for chunk in response.aiter_bytes():
                yield chunk

    async def upload(self, path: str, body: AsyncIterator[bytes], params: Mapping[str, str]) -> AsyncIterator[str]:
        """Send a body piece by piece; the lines of the answer as they come. Raises ApiError, StreamBroken."""
        async with self._opened("POST", path, content=body, params=params) as response:
            async for line in response.aiter_lines():
                yield line

    @asynccontextmanager
    async def _opened(self, method: str, path: str, **arguments: Any) -> AsyncIterator[httpx.Response]:
        """An answer that may take long to begin and to end; it is not asked for twice."""
        timeout = httpx.Timeout(_LONG_SECONDS, connect=5)
        try:
            async with self._http.stream(
                method, path, headers=await self._headers(), timeout=timeout, **arguments
            ) as response:
                if response.is_error:
                    await response.aread()
                    raise problem_of(response)
                yield response
        except httpx.ConnectError:
            raise NotRunning from None
        except httpx.HTTPError as error:
            raise StreamBroken(f"the transfer broke off: {str(error) or type(error).__name__}") from None

    async def _headers(self, *, fresh: bool = False) -> dict[str, str]:
        return {"X-Tenant-ID": self._credentials.tenant, "Authorization": f"Bearer {await self.token(fresh=fresh)}"}

    async def _send(self, method: str, path: str, headers: Mapping[str, str], **arguments: Any) -> httpx.Response:
        for pause in (*_BACKOFF_SECONDS, None):
            try:
                response = await self._http.request(method, path, headers=dict(headers), **arguments)
            except httpx.ConnectError:
                raise NotRunning from None
            except httpx.HTTPError as error:
                raise Failure(f"{method} {path}: no answer ({str(error) or type(error).__name__})") from None
            if response.status_code not in _RETRIED or pause is None:
                return response
            await asyncio.sleep(max(pause, _retry_after(response)))
        raise AssertionError("unreachable")


def _key(method: str, body: Any) -> dict[str, str]:
    """What makes a repeated POST the same request. Uploads need none: their external id does it."""
    return {"Idempotency-Key": uuid.uuid4().hex} if method == "POST" and body is not None else {}


def _retry_after(response: httpx.Response) -> float:
    try:
        return min(float(response.headers.get("retry-after", "0")), _MAX_RETRY_AFTER_SECONDS)
    except ValueError:
        return 0.0


@asynccontextmanager
async def tenant_client(home: Home, tenant: str) -> AsyncIterator[RouterClient]:
    """A client that speaks for a tenant's admin."""
    url = home.router_url()
    async with RouterClient(url, await tenant_credentials(home, tenant)) as client:
        yield client
