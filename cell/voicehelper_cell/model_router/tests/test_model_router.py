"""Which model a tenant gets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from voicehelper_cell import model_adapter
from voicehelper_cell.model_router.service import ModelRouterService
from voicehelper_cell.settings import CellSettings
from voicehelper_core import context
from voicehelper_core.context import TenantContext
from voicehelper_core.errors import PermissionDenied, from_grpc
from voicehelper_core.gen.model.v1 import model_pb2, model_pb2_grpc
from voicehelper_core.grpc_service import ErrorInterceptor
from voicehelper_core.rpc import LocalChannel

ACME = TenantContext("tacme0000001", "acme", "user-1", "ctest0000001")
BUILT_IN, PROVIDED = "local-extractive", "gpt-x"


class Adapter(model_pb2_grpc.ModelAdapterServicer):
    async def Generate(self, request: Any, _: Any) -> AsyncIterator[Any]:
        yield model_pb2.GenerateChunk(delta=request.model)
        yield model_pb2.GenerateChunk(usage=model_pb2.Usage(model=request.model, provider="p", cost_usd=0.5))


async def choose(limits: dict[str, Any], default: str, wanted: str = "") -> str:
    async def limits_of(_: TenantContext) -> dict[str, Any]:
        return limits

    channel = LocalChannel([ErrorInterceptor()])
    channel.add(model_pb2_grpc.add_ModelAdapterServicer_to_server, Adapter())
    service = ModelRouterService(channel, limits_of, default=default)
    with context.use(ACME):
        chunks = [chunk async for chunk in service.generate(model_pb2.GenerateRequest(model=wanted))]
    assert chunks[-1].usage.cost_usd == 0.5
    model: str = chunks[0].delta
    return model


@pytest.mark.parametrize(
    ("limits", "default", "wanted", "model"),
    [
        ({}, "", "", BUILT_IN),
        ({}, PROVIDED, "", BUILT_IN),
        ({"allowed_models": [PROVIDED]}, PROVIDED, "", PROVIDED),
        ({"allowed_models": ["*"]}, PROVIDED, "", PROVIDED),
        ({"allowed_models": [PROVIDED, BUILT_IN]}, PROVIDED, BUILT_IN, BUILT_IN),
        ({"allowed_models": None}, "", "", BUILT_IN),
    ],
)
async def test_the_model(limits: dict[str, Any], default: str, wanted: str, model: str) -> None:
    assert await choose(limits, default, wanted) == model


@pytest.mark.parametrize(
    ("limits", "wanted"), [({}, PROVIDED), ({"allowed_models": ["other"]}, ""), ({"allowed_models": ["a"]}, "b")]
)
async def test_models_outside_of_the_plan(limits: dict[str, Any], wanted: str) -> None:
    with pytest.raises(PermissionDenied):
        await choose(limits, PROVIDED, wanted)


async def test_a_model_that_no_adapter_has() -> None:
    channel = LocalChannel([ErrorInterceptor()])
    adapter = model_adapter.build(CellSettings(cell_id="ctest0000001"))
    channel.add(model_pb2_grpc.add_ModelAdapterServicer_to_server, adapter)
    stub = model_pb2_grpc.ModelAdapterStub(channel)
    with pytest.raises(Exception) as caught:
        [chunk async for chunk in stub.Generate(model_pb2.GenerateRequest(model=PROVIDED))]
    assert from_grpc(caught.value).status == 400  # type: ignore[arg-type]
