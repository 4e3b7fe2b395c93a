"""The exported graph gives what the weights say, alone and in batches; requests share batches."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from voicehelper_cell.inference import export
from voicehelper_cell.inference.batching import Batcher
from voicehelper_cell.inference.embedder import MAX_TOKENS, Embedder
from voicehelper_cell.inference.grpc import InferenceServicer
from voicehelper_core.errors import InvalidArgument
from voicehelper_core.gen.inference.v1 import inference_pb2

SENTENCES = ["A man is eating food.", "How do I reset my password after I forgot my login credentials?"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    return Embedder.load(tmp_path_factory.mktemp("models"))


def reference(model: Embedder, text: str) -> np.ndarray:
    """The same network in numpy, written from the definition of BERT."""
    from safetensors.numpy import load_file

    raw = load_file(export.model_folder() / "model.safetensors")
    weights = {name.removeprefix("bert."): value.astype(np.float64) for name, value in raw.items()}

    def norm(x: Any, name: str) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(x: Any, name: str) -> Any:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def gelu(x: Any) -> Any:
        from math import erf

        return 0.5 * x * (1 + np.vectorize(erf)(x / np.sqrt(2)))

    tokens = model.tokenize([text])[0]
    e = "embeddings."
    x = weights[e + "word_embeddings.weight"][tokens] + weights[e + "position_embeddings.weight"][: len(tokens)]
    x = norm(x + weights[e + "token_type_embeddings.weight"][0], e + "LayerNorm")
    for number in range(6):
        p = f"encoder.layer.{number}."
        query, key, value = (
            linear(x, f"{p}attention.self.{name}").reshape(-1, 12, 32).transpose(1, 0, 2)
            for name in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(32)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True) @ value).transpose(1, 0, 2).reshape(-1, 384)
        x = norm(x + linear(mixed, f"{p}attention.output.dense"), f"{p}attention.output.LayerNorm")
        inner = gelu(linear(x, f"{p}intermediate.dense"))
        x = norm(x + linear(inner, f"{p}output.dense"), f"{p}output.LayerNorm")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


@pytest.mark.parametrize("text", SENTENCES)
def test_graph_equals_the_reference(model: Embedder, text: str) -> None:
    found = model.embed(model.tokenize([text]))[0]
    assert float(found @ reference(model, text)) > 0.9999
    assert np.allclose(found, reference(model, text), atol=1e-4)


def test_batches_do_not_change_vectors(model: Embedder) -> None:
    tokens = model.tokenize(SENTENCES)
    together = model.embed(tokens)
    assert np.allclose(together, np.vstack([model.embed([one]) for one in tokens]), atol=1e-5)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_long_texts_are_cut(model: Embedder) -> None:
    assert len(model.tokenize(["word " * 2000])[0]) == MAX_TOKENS
    assert model.embed(model.tokenize([""])).shape == (1, 384)


def test_a_damaged_file_is_built_again(tmp_path: Path) -> None:
    file = export.ensure(tmp_path)
    file.write_bytes(b"not a graph")
    assert Embedder.load(tmp_path).embed([[101, 102]]).shape == (1, 384)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


class Recording:
    """A model that only remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[list[int]]] = []
        self.fail = False

    def tokenize(self, texts: list[str]) -> list[list[int]]:
        return [[len(text)] * len(text) for text in texts]

    def embed(self, batch: list[list[int]]) -> np.ndarray:
        if self.fail:
            raise ValueError("broken")
        self.batches.append(batch)
        return np.array([[tokens[0]] * 384 for tokens in batch], np.float32)


@pytest.fixture
async def batcher() -> Any:
    made = Batcher(Recording(), threads=1, batch_texts=4, batch_tokens=40)  # type: ignore[arg-type]
    await made.start()
    yield made
    await made.stop()


async def test_requests_share_batches_and_keep_their_order(batcher: Batcher) -> None:
    requests = [[("x" * (1 + (i * j) % 9)) for j in range(1, 6)] for i in range(1, 8)]
    answers = await asyncio.gather(*(batcher.embed(texts) for texts in requests))
    for texts, answer in zip(requests, answers, strict=True):
        assert [int(row[0]) for row in answer] == [len(text) for text in texts]
    batches = batcher._model.batches  # type: ignore[attr-defined]
    assert len(batches) < sum(map(len, requests))
    assert all(len(batch) <= 4 and len(batch) * max(map(len, batch)) <= 40 for batch in batches)


async def test_a_failing_batch_fails_its_requests_only(batcher: Batcher) -> None:
    batcher._model.fail = True  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="broken"):
        await batcher.embed(["a", "b"])
    batcher._model.fail = False  # type: ignore[attr-defined]
    assert (await batcher.embed(["abc"])).shape == (1, 384)


async def test_limits_of_a_request(batcher: Batcher) -> None:
    servicer = InferenceServicer(batcher)
    for texts in ([], ["a"] * 257, ["x" * 70000]):
        with pytest.raises(InvalidArgument):
            await servicer.Embed(inference_pb2.EmbedRequest(texts=texts), None)
    answer = await servicer.Embed(inference_pb2.EmbedRequest(texts=["a", "bb"]), None)
    assert answer.dimension == 384
    assert np.frombuffer(answer.vectors, "<f4").reshape(2, 384)[1, 0] == 2


async def test_what_somebody_waits_for_goes_first(batcher: Batcher) -> None:
    bulk = asyncio.create_task(batcher.embed(["x" * 20] * 20, interactive=False))
    await asyncio.sleep(0)
    await batcher.embed(["query"])
    batches = batcher._model.batches  # type: ignore[attr-defined]
    await bulk
    assert [[5] * 5] in batches[:4]
