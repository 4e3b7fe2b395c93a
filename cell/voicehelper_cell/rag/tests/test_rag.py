"""Retrieve, fit, ask, cite: over the contracts, with a retrieval and a model that tests direct."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from voicehelper_cell import orchestrator, rag
from voicehelper_cell.rag import prompt
from voicehelper_cell.settings import CellSettings
from voicehelper_core.errors import from_grpc
from voicehelper_core.gen.ai.v1 import orchestrator_pb2, orchestrator_pb2_grpc
from voicehelper_core.gen.model.v1 import model_pb2, model_pb2_grpc
from voicehelper_core.gen.rag.v1 import rag_pb2, rag_pb2_grpc
from voicehelper_core.gen.retrieval.v1 import retrieval_pb2, retrieval_pb2_grpc
from voicehelper_core.grpc_service import ErrorInterceptor
from voicehelper_core.rpc import LocalChannel


def hit(text: str, start: int = 0, document: str = "d1") -> Any:
    return retrieval_pb2.Hit(
        document_id=document, title="Title", text=text, start=start, end=start + len(text), vector_score=0.5
    )


class Retrieval(retrieval_pb2_grpc.RetrievalServiceServicer):
    def __init__(self) -> None:
        self.hits: list[Any] = []
        self.request: Any = None

    async def Retrieve(self, request: Any, _: Any) -> Any:
        self.request = request
        return retrieval_pb2.RetrieveResponse(hits=self.hits)


class Model(model_pb2_grpc.ModelRouterServicer):
    def __init__(self) -> None:
        self.chunks: list[Any] = []
        self.request: Any = None

    async def Generate(self, request: Any, _: Any) -> AsyncIterator[Any]:
        self.request = request
        for chunk in self.chunks:
            yield chunk


class Engines:
    def __init__(self) -> None:
        self.retrieval, self.model = Retrieval(), Model()
        self.channel = LocalChannel([ErrorInterceptor()])
        settings = CellSettings(cell_id="ctest0000001", context_tokens=500)
        self.channel.add(retrieval_pb2_grpc.add_RetrievalServiceServicer_to_server, self.retrieval)
        self.channel.add(model_pb2_grpc.add_ModelRouterServicer_to_server, self.model)
        self.channel.add(rag_pb2_grpc.add_RagServiceServicer_to_server, rag.build(self.channel))
        self.channel.add(
            orchestrator_pb2_grpc.add_OrchestratorServicer_to_server, orchestrator.build(settings, self.channel)
        )

    async def execute(self, question: str, mode: str = "chat", history: tuple[tuple[str, str], ...] = ()) -> list[Any]:
        request = orchestrator_pb2.ExecuteRequest(
            mode=mode, content=question, history=[rag_pb2.Turn(role=role, content=text) for role, text in history]
        )
        return [chunk async for chunk in orchestrator_pb2_grpc.OrchestratorStub(self.channel).Execute(request)]


@pytest.fixture
def engines() -> Engines:
    return Engines()


async def test_quotes_become_places_in_the_document(engines: Engines) -> None:
    engines.retrieval.hits = [hit("No answer here.", 10), hit("Gebühr: 25 € 🎉 im Jahr.", 100, "d2")]
    engines.model.chunks = [
        model_pb2.GenerateChunk(delta="25 € [2]"),
        model_pb2.GenerateChunk(quote=model_pb2.Quote(ref="2", start=8, end=14)),
        model_pb2.GenerateChunk(usage=model_pb2.Usage(model="m", prompt_tokens=5, completion_tokens=2, answered=True)),
    ]
    delta, citation, usage = await engines.execute("How high is the fee?")
    assert delta.delta == "25 € [2]"
    cited = citation.citation
    assert (cited.document_id, cited.title, cited.start, cited.end) == ("d2", "Title", 108, 114)
    assert cited.text == "25 € 🎉"
    assert (usage.usage.model, usage.usage.prompt_tokens, usage.usage.answered) == ("m", 5, True)


@pytest.mark.parametrize("quote", [("0", 0, 5), ("3", 0, 5), ("x", 0, 5), ("", 0, 5)])
async def test_quotes_of_nothing_are_dropped(engines: Engines, quote: tuple[str, int, int]) -> None:
    engines.retrieval.hits = [hit("Some text."), hit("More text.")]
    ref, start, end = quote
    engines.model.chunks = [model_pb2.GenerateChunk(quote=model_pb2.Quote(ref=ref, start=start, end=end))]
    assert await engines.execute("What?") == []


async def test_quotes_end_with_their_passage(engines: Engines) -> None:
    engines.retrieval.hits = [hit("Some text.", 50)]
    engines.model.chunks = [model_pb2.GenerateChunk(quote=model_pb2.Quote(ref="1", start=-5, end=500))]
    (citation,) = await engines.execute("What?")
    assert (citation.citation.start, citation.citation.end, citation.citation.text) == (50, 60, "Some text.")


async def test_what_the_model_is_given(engines: Engines) -> None:
    engines.retrieval.hits = [hit("word " * 300, number) for number in range(12)]
    turns = tuple(("user" if number % 2 == 0 else "assistant", f"{number} " + "x" * 900) for number in range(8))
    await engines.execute("What is it?", history=turns)
    request = engines.model.request
    assert request.messages[0].role == "system"
    assert request.messages[-1].content == "What is it?"
    assert [message.content[0] for message in request.messages[1:-1]] == ["4", "5", "6", "7"]
    assert [passage.ref for passage in request.passages] == ["1"]  # 375 tokens each, 500 in all
    assert engines.retrieval.request.mode == "hybrid"
    assert engines.retrieval.request.query == "What is it?"


async def test_modes_without_an_engine(engines: Engines) -> None:
    for question, mode in (("What?", "agent"), ("What?", ""), (" ", "chat")):
        with pytest.raises(Exception) as caught:
            await engines.execute(question, mode)
        assert from_grpc(caught.value).status == 400  # type: ignore[arg-type]


def test_tokens_of_scripts() -> None:
    assert prompt.tokens("") == 0
    assert prompt.tokens("twelve chars") == 3
    assert prompt.tokens("中文字") == 3
    assert prompt.fitting([], 100) == []
    assert len(prompt.fitting([hit("x" * 4000)], 10)) == 1
