"""Milvus Lite as a server that all cells share: vectors."""

from __future__ import annotations

from voicehelper_embedded.components.base import BaseComponent
from voicehelper_embedded.context import HOST
from voicehelper_embedded.supervisor.process import Launch

# Of the linear algebra in each search: searches of several tenants share the cores already, and threads that wait
# for each other cost a busy machine far more than they gain (10,000 vectors: 2 ms of work, 5 to 90 ms of waiting).
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Milvus(BaseComponent):
    """It has no users; the condition StoreIsolated of a cell says so."""

    name = "milvus"
    port_name = "milvus"

    async def prepare(self) -> Launch:
        data = self.context.own_data(self.name)
        self.context.own(data / "tmp")
        release = self.context.release
        return Launch(
            argv=[
                str(release.python), "-m", "voicehelper_embedded.processes.milvus", "server",
                "--data-dir", str(data / "db"), "--host", HOST, "--port", str(self.port),
            ],
            environment={
                **release.environment(), **_ONE_THREAD, "HOME": str(data), "TMPDIR": str(data / "tmp"),
            },
            user=self.context.home.user,
            folder=data,
        )  # fmt: skip

    async def probe(self) -> str | None:
        import grpc.aio

        async with grpc.aio.insecure_channel(self.context.at("milvus")) as channel:
            await channel.channel_ready()
        return None
