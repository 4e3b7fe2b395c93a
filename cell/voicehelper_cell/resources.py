"""What services are built from. Each is made when a service asks for it first, so a process holds only what it uses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any

from voicehelper_core.auth import TokenVerifier
from voicehelper_core.gen.inference.v1 import inference_pb2_grpc
from voicehelper_core.grpc_service import channel

from voicehelper_cell.database import Database, Pool, connect
from voicehelper_cell.placements import Placements
from voicehelper_cell.settings import CellSettings
from voicehelper_cell.vectors import Vectors

Close = Callable[[], Awaitable[None]]


class Resources:
    """``services`` is the channel to all services of the cell. ``alone``: a service has this one process only."""

    def __init__(self, settings: CellSettings, services: Any, *, alone: bool) -> None:
        self.settings, self.services, self.alone = settings, services, alone
        self.drain_seconds = 2.0 if alone else 20.0
        """How long running answers may take when the process stops; a kubelet waits 30 s before it kills."""
        self._pool: Pool | None = None
        self._closing: list[Close] = []

    @cached_property
    def placements(self) -> Placements:
        """The list of tenants; somebody has to run it."""
        return Placements(self.settings.postgres_dsn, self.settings.cell_id)

    @cached_property
    def verifier(self) -> TokenVerifier:
        """Of users' tokens."""
        return TokenVerifier(self.settings.jwks_url, cache_file=self.settings.jwks_cache_file)

    async def database(self, schema: str) -> Database:
        """A schema, over the connections that all services of this process share."""
        if self._pool is None:
            self._pool = await connect(self.settings.postgres_dsn, self.settings.postgres_pool_size)
        return Database(self._pool, self.settings.cell_id, schema)

    @cached_property
    def vectors(self) -> Vectors:
        """The cell's collection."""
        made = Vectors(self.settings)
        self._closing.append(made.close)
        return made

    @cached_property
    def embedder(self) -> Any:
        """The embedding model's stub."""
        return inference_pb2_grpc.InferenceServiceStub(self.elsewhere(self.settings.inference_address))

    def elsewhere(self, address: str) -> Any:
        """A channel to a process that is not of this cell."""
        made = channel(address)
        self._closing.append(made.close)
        return made

    async def close(self) -> None:
        """Close what was made, after everything that uses it has ended."""
        for close in self._closing:
            await close()
        if self._pool is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._pool.close(), 2)
