"""Settings of the inference process."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from voicehelper_core.settings import BaseAppSettings


class InferenceSettings(BaseAppSettings):
    """Where the model lies and how much of the machine it may use."""

    http_host: str = "127.0.0.1"
    """Address of health and metrics."""
    http_port: int = 8080
    """Port of health and metrics."""
    grpc_host: str = "127.0.0.1"
    """Address of the gRPC API."""
    grpc_port: int = 9090
    """Port of the gRPC API."""
    model_dir: Path = Path("models")
    """Folder of the ONNX graph; it is built there when it is missing."""
    inference_threads: int = Field(default=2, ge=1, le=64)
    """Batches computed at once, each on one core."""
    inference_batch_texts: int = Field(default=32, ge=1, le=256)
    """Texts in one batch, at most."""
    inference_batch_tokens: int = Field(default=512, ge=256, le=16384)
    """Tokens in one batch, padding included, at most: bounds how long a query waits behind bulk work."""
