"""The embedding model, shared by all cells."""

from __future__ import annotations

from voicehelper_embedded.components.base import BaseComponent
from voicehelper_embedded.supervisor.process import Launch


class Inference(BaseComponent):
    """Builds its model at the first start; keeps nothing of a tenant."""

    name = "inference"
    port_name = "inference-http"
    start_seconds = 120.0

    async def prepare(self) -> Launch:
        self.context.own_data(self.name)
        config = {
            "http_port": self.context.ports["inference-http"],
            "grpc_port": self.context.ports["inference-grpc"],
            "model_dir": self.context.home.models,
        }
        return self.context.python("voicehelper_cell.inference", "serve", config=config, name=self.name)
