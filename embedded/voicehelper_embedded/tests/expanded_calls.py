"""Calls of a cell whose services run alone: gRPC with its certificates, HTTP while services come and go."""

from __future__ import annotations

import time

import grpc
import grpc.aio
import httpx
from voicehelper_cell.tests.test_chat import CONVERSATIONS, DOCUMENTS
from voicehelper_core import names
from voicehelper_core.call_graph import SERVICES
from voicehelper_core.tls import Material, channel_credentials
from voicehelper_embedded.tests.expanded_cell import ExpandedCell

METHODS = {
    "conversation.v1.ConversationService": "ListConversations",
    "knowledge.v1.KnowledgeService": "ListDocuments",
    "indexing.v1.IndexingService": "IndexDocument",
    "retrieval.v1.RetrievalService": "Retrieve",
    "ai.v1.Orchestrator": "Execute",
    "rag.v1.RagService": "Answer",
    "model.v1.ModelRouter": "Generate",
    "model.v1.ModelAdapter": "Generate",
}


def said(token: str | None, by: str = "") -> list[tuple[str, str]]:
    return [*([("authorization", f"Bearer {token}")] if token else []), ("x-caller", by)]


def secure(cell: ExpandedCell, target: str, files: dict[str, str] | None) -> grpc.aio.Channel:
    """A channel to a service with the certificate in ``files``, or with none."""
    name = (("grpc.ssl_target_name_override", names.tls_name(cell.cell_id, target)),)
    mine = cell.certificates.files("web")
    if files is None:
        credentials = grpc.ssl_channel_credentials(mine["ca.crt"].encode())
    else:
        material = Material(mine["ca.crt"].encode(), files["tls.crt"].encode(), files["tls.key"].encode())
        credentials = channel_credentials(material)
    return grpc.aio.secure_channel(cell.processes[target].grpc, credentials, options=name)


async def code(channel: grpc.aio.Channel, target: str, metadata: list[tuple[str, str]]) -> grpc.StatusCode:
    """How a call to a service ends."""
    contract = SERVICES[target].contract
    async with channel:
        call = channel.unary_stream(f"/{contract}/{METHODS[str(contract)]}")(b"", metadata=metadata, timeout=20)
        try:
            async for _ in call:
                pass
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK


def upload(client: httpx.Client, text: str) -> str:
    made = client.post(DOCUMENTS, json={"title": "Tools", "content": text})
    assert made.status_code == 202, made.text
    identifier: str = made.json()["id"]
    return identifier


def indexed(client: httpx.Client, identifier: str, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if client.get(f"{DOCUMENTS}/{identifier}").json()["status"] == "indexed":
            return
        time.sleep(0.1)
    raise AssertionError("the document was not indexed")


def found_again(client: httpx.Client) -> None:
    """Callers look for a service that was away once a second."""
    until = time.monotonic() + 15
    while (answer := client.get(CONVERSATIONS)).status_code != 200:
        assert answer.status_code == 503, answer.text
        assert time.monotonic() < until, answer.text
        time.sleep(0.1)
