"""Milvus Lite as a server that all cells share: vectors."""

from __future__ import annotations

from pathlib import Path

from voicehelper_embedded.components.base import BaseComponent
from voicehelper_embedded.context import HOST
from voicehelper_embedded.supervisor.process import Launch


class Milvus(BaseComponent):
    """It has no users; the condition StoreIsolated of a cell says so."""

    name = "milvus"
    port_name = "milvus"

    async def prepare(self) -> Launch:
        data = self.context.own_data(self.name)
        self.context.own(data / "tmp")
        python = self.context.release.python
        return Launch(
            argv=[
                str(python), str(Path(python).with_name("milvus-lite")), "server",
                "--data-dir", str(data / "db"), "--host", HOST, "--port", str(self.port),
            ],
            environment={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(data), "TMPDIR": str(data / "tmp")},
            user=self.context.home.user,
            folder=data,
        )  # fmt: skip

    async def probe(self) -> str | None:
        import grpc.aio

        async with grpc.aio.insecure_channel(self.context.at("milvus")) as channel:
            await channel.channel_ready()
        return None
