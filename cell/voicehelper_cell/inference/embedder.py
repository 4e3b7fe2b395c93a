"""The embedding model: token ids to vectors of length 1, on one core a call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from voicehelper_cell.inference import export

MAX_TOKENS = 256
Vectors = npt.NDArray[np.float32]
Tokens = list[int]


class Embedder:
    """all-MiniLM-L6-v2 under onnxruntime. Its methods may run in several threads at once."""

    def __init__(self, model: Path, folder: Path) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # the arena keeps the largest batch's memory for good
        self._session: Any = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)

    @classmethod
    def load(cls, model_dir: Path) -> Embedder:
        """Load the graph, built first where it is missing and once more where it cannot be read."""
        folder = export.model_folder()
        try:
            return cls(export.ensure(model_dir), folder)
        except RuntimeError:
            raise
        except Exception:  # onnxruntime's own kinds: a damaged file
            return cls(export.ensure(model_dir, rebuild=True), folder)

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Token ids, cut at 256."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]

    def embed(self, batch: Sequence[Tokens]) -> Vectors:
        """One row a text. Cheapest when the texts are of similar length."""
        longest = max(len(tokens) for tokens in batch)
        ids = np.zeros((len(batch), longest), np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        result: Vectors = self._session.run(None, {"ids": ids, "mask": mask})[0]
        return result
