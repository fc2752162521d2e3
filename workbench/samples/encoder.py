"""A small transformer encoder with random weights: two dynamic dimensions, and the operators that real ones are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.samples.graph import BOOL, FLOAT, INT64, Dims, Graph

if TYPE_CHECKING:
    import onnx

ROWS = ("batch", "sequence")


@dataclass(frozen=True)
class Sizes:
    """The sizes of the encoder, and the seed of its weights."""

    layers: int = 3
    hidden: int = 64
    heads: int = 4
    inner: int = 128
    vocabulary: int = 1000
    positions: int = 256
    seed: int = 0


class Encoder:
    """Builds the encoder's graph; each method adds one part and returns its output.

    Parameters
    ----------
    sizes : Sizes
        Of the encoder.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.rng = np.random.default_rng(sizes.seed)
        self.graph = Graph(
            "encoder",
            "A transformer encoder with random weights. Inputs: input_ids (0 to 999) and attention_mask (0 leaves a position "
            "out). Outputs: last_hidden_state, and embedding, its mean over the positions that count.",
        )

    def model(self) -> onnx.ModelProto:
        """Return the whole model."""
        graph, sizes = self.graph, self.sizes
        ids = graph.input("input_ids", ROWS, INT64)
        mask = graph.input("attention_mask", ROWS, INT64)
        counts = graph.node("/mask/Cast", [mask], ROWS, BOOL, to=BOOL)
        bias = self.mask_bias(counts)
        hidden = self.embeddings(ids)
        for layer in range(sizes.layers):
            last = layer == sizes.layers - 1
            hidden = self.layer(f"layer{layer}", hidden, bias, output="last_hidden_state" if last else "")
        self.pooled(hidden, counts)
        return graph.model(["last_hidden_state", "embedding"], {"weights": f"random, seed {sizes.seed}"})

    def mask_bias(self, counts: str) -> str:
        """Return what is added to attention scores: 0 where a position counts, else a large negative number."""
        graph = self.graph
        dims: Dims = ("batch", 1, 1, "sequence")
        wide = graph.node("/mask/Unsqueeze", [counts, graph.weight("mask.axes", [1, 2])], dims, BOOL)
        # 1e4 instead of infinity: it survives float16, and a row without any position stays finite.
        choices = [graph.weight("mask.keep", 0.0), graph.weight("mask.drop", -1e4)]
        return graph.node("/mask/Where", [wide, *choices], dims)

    def embeddings(self, ids: str) -> str:
        """Return token plus position embeddings, normalised."""
        graph, sizes = self.graph, self.sizes
        words = graph.weight("embeddings.word.weight", self._normal(sizes.vocabulary, sizes.hidden))
        word = graph.node("/embeddings/word/Gather", [words, ids], (*ROWS, sizes.hidden), axis=0)
        shape = graph.node("/embeddings/Shape", [ids], (2,), INT64)
        bounds = [graph.weight(f"embeddings.length.{name}", [value]) for name, value in (("start", 1), ("end", 2))]
        length = graph.node("/embeddings/length/Slice", [shape, *bounds], (1,), INT64)
        table = graph.weight("embeddings.position.weight", self._normal(sizes.positions, sizes.hidden))
        start, axis = graph.weight("embeddings.position.start", [0]), graph.weight("embeddings.position.axis", [0])
        position = graph.node("/embeddings/position/Slice", [table, start, length, axis], ("sequence", sizes.hidden))
        total = graph.node("/embeddings/Add", [word, position], (*ROWS, sizes.hidden))
        return self.normalised("embeddings", total)

    def layer(self, name: str, hidden: str, bias: str, *, output: str = "") -> str:
        """Return one encoder layer: attention and a two-layer network, each added to its input and normalised."""
        graph, dims = self.graph, (*ROWS, self.sizes.hidden)
        attended = self.attention(f"{name}/attention", hidden, bias)
        added = graph.node(f"/{name}/attention/residual/Add", [attended, hidden], dims)
        middle = self.normalised(f"{name}/attention", added)
        fed = self.feed_forward(f"{name}/mlp", middle)
        added = graph.node(f"/{name}/mlp/residual/Add", [fed, middle], dims)
        return self.normalised(f"{name}/mlp", added, output=output)

    def attention(self, name: str, hidden: str, bias: str) -> str:
        """Return scaled dot-product attention over all heads, projected back."""
        graph, sizes = self.graph, self.sizes
        size = sizes.hidden // sizes.heads
        parts: dict[str, str] = {}
        for part, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
            dense = self.dense(f"{name}/{part}", hidden, sizes.hidden, sizes.hidden)
            shape = graph.weight(f"{name}.{part}.shape".replace("/", "."), [0, 0, sizes.heads, size])
            split = graph.node(f"/{name}/{part}/Reshape", [dense, shape], (*ROWS, sizes.heads, size))
            full: Dims = ("batch", "sequence", sizes.heads, size)
            turned = tuple(full[axis] for axis in order)
            parts[part] = graph.node(f"/{name}/{part}/Transpose", [split], turned, perm=order)
        pairs: Dims = ("batch", sizes.heads, "sequence", "sequence")
        products = graph.node(f"/{name}/scores/MatMul", [parts["query"], parts["key"]], pairs)
        scale = graph.weight(f"{name}.scale".replace("/", "."), float(size**-0.5))
        scaled = graph.node(f"/{name}/scores/Mul", [products, scale], pairs)
        masked = graph.node(f"/{name}/scores/Add", [scaled, bias], pairs)
        shares = graph.node(f"/{name}/Softmax", [masked], pairs, axis=-1)
        mixed = graph.node(f"/{name}/context/MatMul", [shares, parts["value"]], ("batch", sizes.heads, "sequence", size))
        back = graph.node(f"/{name}/context/Transpose", [mixed], (*ROWS, sizes.heads, size), perm=[0, 2, 1, 3])
        shape = graph.weight(f"{name}.context.shape".replace("/", "."), [0, 0, sizes.hidden])
        joined = graph.node(f"/{name}/context/Reshape", [back, shape], (*ROWS, sizes.hidden))
        return self.dense(f"{name}/output", joined, sizes.hidden, sizes.hidden)

    def feed_forward(self, name: str, hidden: str) -> str:
        """Return two dense layers with the Gaussian error linear unit between, in its exact form."""
        graph, sizes = self.graph, self.sizes
        dims = (*ROWS, sizes.inner)
        wide = self.dense(f"{name}/up", hidden, sizes.hidden, sizes.inner)
        stem = f"{name}.gelu".replace("/", ".")
        scaled = graph.node(f"/{name}/gelu/Div", [wide, graph.weight(f"{stem}.root2", float(np.sqrt(2)))], dims)
        erf = graph.node(f"/{name}/gelu/Erf", [scaled], dims)
        shifted = graph.node(f"/{name}/gelu/Add", [erf, graph.weight(f"{stem}.one", 1.0)], dims)
        product = graph.node(f"/{name}/gelu/Mul", [wide, shifted], dims)
        active = graph.node(f"/{name}/gelu/half/Mul", [product, graph.weight(f"{stem}.half", 0.5)], dims)
        return self.dense(f"{name}/down", active, sizes.inner, sizes.hidden)

    def dense(self, name: str, source: str, rows: int, columns: int) -> str:
        """Return `source` times a random matrix, plus a bias."""
        stem, dims = name.replace("/", "."), (*ROWS, columns)
        weight = self.graph.weight(f"{stem}.weight", self._normal(rows, columns))
        bias = self.graph.weight(f"{stem}.bias", 0.1 * self._normal(columns))
        product = self.graph.node(f"/{name}/MatMul", [source, weight], dims)
        return self.graph.node(f"/{name}/Add", [bias, product], dims)

    def normalised(self, name: str, source: str, *, output: str = "") -> str:
        """Return `source` normalised over its last axis."""
        stem, size = f"{name}.norm".replace("/", "."), self.sizes.hidden
        scale = self.graph.weight(f"{stem}.weight", 1 + 0.1 * self._normal(size))
        bias = self.graph.weight(f"{stem}.bias", 0.1 * self._normal(size))
        inputs = [source, scale, bias]
        return self.graph.node(f"/{name}/norm/LayerNormalization", inputs, (*ROWS, size), output=output, axis=-1, epsilon=1e-5)

    def pooled(self, hidden: str, counts: str) -> str:
        """Return the mean of the hidden states over the positions that count, or zero where none does."""
        graph, size = self.graph, self.sizes.hidden
        weights = graph.node("/pool/Cast", [counts], ROWS, FLOAT, to=FLOAT)
        wide = graph.node("/pool/Unsqueeze", [weights, graph.weight("pool.last", [2])], (*ROWS, 1))
        chosen = graph.node("/pool/Mul", [hidden, wide], (*ROWS, size))
        axis = graph.weight("pool.axis", [1])
        total = graph.node("/pool/total/ReduceSum", [chosen, axis], ("batch", size), keepdims=0)
        count = graph.node("/pool/count/ReduceSum", [wide, axis], ("batch", 1), keepdims=0)
        least = graph.node("/pool/count/Max", [count, graph.weight("pool.least", 1.0)], ("batch", 1))
        return graph.node("/pool/Div", [total, least], ("batch", size), output="embedding")

    def _normal(self, *shape: int) -> np.ndarray:
        """Return random weights that keep the size of what they multiply, as float32."""
        scale = shape[0] ** -0.5 if len(shape) == 2 else 1.0
        if shape[0] in (self.sizes.vocabulary, self.sizes.positions):
            scale = 1.0  # a table: one row of it is taken, none multiplied
        return np.asarray(self.rng.standard_normal(shape) * scale, dtype=np.float32)


def encoder_model(sizes: Sizes | None = None) -> onnx.ModelProto:
    """Return the encoder."""
    return Encoder(sizes or Sizes()).model()
