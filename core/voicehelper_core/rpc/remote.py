"""``RemoteChannel``: one channel for all services of a cell that run elsewhere, as ``LocalChannel`` is for those here.

A call's path names the contract (``/rag.v1.RagService/Answer``), the contract its service, the service its address.
Stubs are made once and live as long as the process, certificates do not: each call is made on the channel that fits
the certificates of now.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Mapping
from typing import Any, Self

import grpc
import grpc.aio

from voicehelper_core import names
from voicehelper_core.tls import Material, TlsFiles, channel_credentials

RETIRE_SECONDS = 300.0
"""How long calls of a replaced channel may still take."""
_OPTIONS = (
    ("grpc.lb_policy_name", "round_robin"),  # a headless service names every replica
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),  # grpc's own two minutes are too long for a service that starts again
    ("grpc.keepalive_time_ms", 20_000),  # a peer whose node died sends no goodbye
    ("grpc.keepalive_timeout_ms", 5_000),
)
SERVER_OPTIONS = (
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),  # the keepalive above is no attack
    ("grpc.keepalive_time_ms", 20_000),  # nor must a caller that is gone keep an answer running
    ("grpc.keepalive_timeout_ms", 5_000),
    # Callers look for replicas, and show a certificate, at least this often; running calls end in their own time.
    ("grpc.max_connection_age_ms", 600_000),
    ("grpc.max_connection_age_grace_ms", 300_000),
    ("grpc.so_reuseport", 0),  # a second process on the same port is a mistake, not a replica
)
"""For servers that a ``RemoteChannel`` calls."""


def is_loopback(address: str) -> bool:
    """Whether nobody on the network can be at ``host``, ``host:port`` or ``unix:path``."""
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0] if address.count(":") == 1 or "]:" in address else address
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class RemoteChannel(grpc.aio.Channel):  # type: ignore[misc, unused-ignore]
    """``addresses`` are host:port by service, ``contracts`` services by the full name of their gRPC service.

    Without ``tls`` only loopback addresses are taken. Raises ValueError for another, and when a stub is made whose
    service has no address.
    """

    def __init__(
        self,
        addresses: Mapping[str, str],
        contracts: Mapping[str, str],
        *,
        cell_id: str,
        tls: TlsFiles | None,
        options: tuple[tuple[str, Any], ...] = (),
    ) -> None:
        for service, address in addresses.items():
            if tls is None and not is_loopback(address):
                raise ValueError(f"services: {service} at {address} is not on this machine: set the tls files")
        self._contracts = contracts
        self._targets = {
            service: _Target(address, names.tls_name(cell_id, service), tls, (*_OPTIONS, *options))
            for service, address in addresses.items()
        }

    def _multicallable(self, kind: str, method: str, *codec: Any, **_: Any) -> _Late:
        contract = method.split("/")[1]
        service = self._contracts.get(contract, "")
        if service not in self._targets:
            raise ValueError(f"services: the address of {service or contract} is missing")
        return _Late(self._targets[service], kind, (method, *codec[:2]))

    def unary_unary(self, method: str, *arguments: Any, **named: Any) -> _Late:
        return self._multicallable("unary_unary", method, *_codec(*arguments, **named))

    def unary_stream(self, method: str, *arguments: Any, **named: Any) -> _Late:
        return self._multicallable("unary_stream", method, *_codec(*arguments, **named))

    def stream_unary(self, method: str, *arguments: Any, **named: Any) -> _Late:
        return self._multicallable("stream_unary", method, *_codec(*arguments, **named))

    def stream_stream(self, method: str, *arguments: Any, **named: Any) -> _Late:
        return self._multicallable("stream_stream", method, *_codec(*arguments, **named))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """Close all connections; running calls may take ``grace`` seconds."""
        await asyncio.gather(*(target.close(grace) for target in self._targets.values()))

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """There are several channels below; none is asked."""
        return grpc.ChannelConnectivity.READY

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Calls find out."""

    async def channel_ready(self) -> None:
        """Calls find out."""


def _codec(request_serializer: Any = None, response_deserializer: Any = None, *_: Any, **__: Any) -> tuple[Any, Any]:
    return request_serializer, response_deserializer


class _Target:
    """One service elsewhere, and the channel to it that fits the certificates of now."""

    def __init__(self, address: str, name: str, tls: TlsFiles | None, options: tuple[tuple[str, Any], ...]) -> None:
        self._address, self._name, self._tls, self._options = address, name, tls, options
        self._channel: grpc.aio.Channel | None = None
        self._material: Material | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    def channel(self) -> grpc.aio.Channel:
        """Made at the first call, and again when the certificates have changed."""
        material = self._tls.current() if self._tls else None
        if self._channel is None or material is not self._material:
            old, self._channel, self._material = self._channel, self._open(material), material
            if old is not None:
                task = asyncio.get_running_loop().create_task(_retire(old))
                self._retiring.add(task)
                task.add_done_callback(self._retiring.discard)
        return self._channel

    def _open(self, material: Material | None) -> grpc.aio.Channel:
        if material is None:
            return grpc.aio.insecure_channel(self._address, options=self._options)
        # The address may be anybody's; who answers has to be the service of this cell.
        options = (*self._options, ("grpc.ssl_target_name_override", self._name))
        return grpc.aio.secure_channel(self._address, channel_credentials(material), options=options)

    async def close(self, grace: float | None) -> None:
        """Also what is being retired."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        if self._channel is not None:
            await self._channel.close(grace)


async def _retire(channel: grpc.aio.Channel) -> None:
    try:
        await channel.close(RETIRE_SECONDS)
    except asyncio.CancelledError:
        await channel.close(None)
        raise


class _Late:
    """A stub's method, bound to the channel at each call."""

    def __init__(self, target: _Target, kind: str, arguments: tuple[Any, ...]) -> None:
        self._target, self._kind, self._arguments = target, kind, arguments
        self._channel: grpc.aio.Channel | None = None
        self._bound: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        channel = self._target.channel()
        if self._bound is None or channel is not self._channel:
            self._channel, self._bound = channel, getattr(channel, self._kind)(*self._arguments)
        return self._bound(*arguments, **named)
