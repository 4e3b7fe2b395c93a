"""Requests to Vault by its official client, as the service account of this pod, and its errors as ours."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import hvac
import requests
from hvac import exceptions
from requests.adapters import HTTPAdapter

from voicehelper_core import errors
from voicehelper_core.log import get_logger

log = get_logger(__name__)
T = TypeVar("T")
OLDEST = (1, 15)
"""Minimum version of Vault."""
_SECONDS = 10
_AT_ONCE = 8
_LIFE = 2 / 3
"""Part of a lease after which the next login is due."""


@dataclass(frozen=True, slots=True)
class VaultServer:
    """Where Vault is, and as whom it is spoken to. An empty ``ca_file`` trusts what the system does."""

    address: str
    role: str
    token_file: Path
    ca_file: str = ""
    namespace: str = ""
    mount: str = "secret"
    auth_mount: str = "kubernetes"


class VaultConnection:
    """One server. Raises errors.AppError: NotFound, Conflict, InvalidArgument, PermissionDenied, Unavailable.

    The client is synchronous, so it runs in threads.
    """

    def __init__(self, server: VaultServer) -> None:
        self.server = server
        session = requests.Session()
        # Neither proxies nor credentials of the environment: what is not said in the settings does not hold.
        session.trust_env = False
        session.verify = server.ca_file or True
        session.mount("https://", HTTPAdapter(pool_maxsize=_AT_ONCE))
        self._client = hvac.Client(
            server.address, token="", namespace=server.namespace or None, session=session, timeout=_SECONDS
        )
        self._login, self._until = threading.Lock(), 0.0
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def close(self) -> None:
        """Close the connections; the token runs out by itself."""
        self._client.adapter.close()

    async def check(self) -> None:
        """Raises InvalidArgument for a Vault that is too old, Unavailable for one that is sealed or not there."""
        answer = await self._threaded(lambda: self._client.sys.read_health_status(method="GET", standby_ok=True))
        health = answer if isinstance(answer, dict) else _json(answer)
        found = re.match(r"(\d+)\.(\d+)", str(health.get("version", "")))
        if not found:
            raise errors.Unavailable(f"{self.server.address} does not say which version of Vault it is")
        if (int(found[1]), int(found[2])) < OLDEST:
            needed = ".".join(str(part) for part in OLDEST)
            raise errors.InvalidArgument(f"Vault {health['version']} is too old: {needed} or newer is needed")
        if health.get("sealed") or not health.get("initialized", True):
            raise errors.Unavailable(f"Vault at {self.server.address} is sealed")

    async def run(self, call: Callable[[Any], T]) -> T:
        """What ``call`` makes of the client, logged in. Once again after a new login, where the token is refused."""

        def attempt() -> T:
            token = self._authenticated()
            try:
                return call(self._client)
            except exceptions.Forbidden:
                self._authenticated(refused=token)
                return call(self._client)

        return await self._threaded(attempt)

    async def _threaded(self, call: Callable[[], T]) -> T:
        async with self._slots:
            try:
                return await asyncio.to_thread(call)
            except exceptions.VaultError as error:
                raise translated(error) from None
            except (requests.RequestException, OSError) as error:
                reason = f"{type(error).__name__}: {error}"[:300]
                raise errors.Unavailable(f"Vault at {self.server.address} does not answer ({reason})") from None

    def _authenticated(self, refused: str | None = None) -> str:
        """The token, a new one where its lease ends soon or it was refused; several threads share one login."""
        with self._login:
            token = str(self._client.token or "")
            if not token or time.monotonic() >= self._until or token == refused:
                token = self._log_in()
            return token

    def _log_in(self) -> str:
        server, began = self.server, time.monotonic()
        jwt = server.token_file.read_text().strip()  # the kubelet renews it
        try:
            answer = self._client.auth.kubernetes.login(
                server.role, jwt, use_token=False, mount_point=server.auth_mount
            )
        except (exceptions.Forbidden, exceptions.InvalidRequest, exceptions.InvalidPath) as error:
            said = "; ".join(error.errors or ()) or "no message"
            problem = f"Vault lets nobody in by role '{server.role}' of auth/{server.auth_mount}: {said}"
            raise errors.PermissionDenied(problem[:500]) from None
        auth = answer["auth"]
        lease = float(auth.get("lease_duration") or 0)
        self._until = began + lease * _LIFE if lease else float("inf")
        self._client.token = auth["client_token"]
        log.info("logged in to Vault", lease_seconds=lease)
        return str(self._client.token)


def translated(error: exceptions.VaultError) -> errors.AppError:
    """Of a refusal. Vault's messages tell no secrets."""
    said = "; ".join(str(item).strip() for item in error.errors or ()) or type(error).__name__
    match error:
        case exceptions.InvalidRequest() if "check-and-set" in said:
            return errors.Conflict(f"somebody else has written: {said}"[:500])
        case exceptions.InvalidRequest():
            return errors.InvalidArgument(f"Vault refuses: {said}"[:500])
        case exceptions.Forbidden() | exceptions.Unauthorized():
            where = str(error.url or "").partition("/v1/")[2]
            return errors.PermissionDenied(f"Vault forbids {str(error.method).upper()} {where}: {said}"[:500])
        case exceptions.InvalidPath():
            return errors.NotFound(f"Vault has no such thing: {said}"[:500])
        case exceptions.RateLimitExceeded():
            return errors.Unavailable(f"Vault is asked too much: {said}"[:500])
        case _:
            return errors.Unavailable(f"Vault cannot answer: {said}"[:500])


def _json(response: requests.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}
