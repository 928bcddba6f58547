"""The kernels of whole networks as numbers: the quantities of a roofline model, on a logarithmic scale.

Letters: F numbers per kernel, Y edges between kernels.
"""

from math import log, log1p, prod

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from narformer.network import Architecture
from narformer.network.cost import cost
from narformer.network.kernels import ACTIVATIONS, PAIRS, VIEWS, Kernel, kernels
from narformer.network.ops import ALIASES, VALUE_BYTES
from narformer.tokens.packed import Packed
from narformer.tokens.tokenizer import STRICT, NetworkTokenizer

__all__ = ["DEPTHWISE", "FEATURES", "KINDS", "POINTWISE", "KernelTokenizer"]

# Kinds of anchors; all others are "other". Runtimes compute the first three, all convolutions, in different ways.
POINTWISE, DEPTHWISE = "PointwiseConv", "DepthwiseConv"
KINDS = (
    *("Conv", POINTWISE, DEPTHWISE, "ConvTranspose", "Gemm", "MatMul"),
    *("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"),
    *("Add", "Mul", "Sub", "Div", "Concat", "Split", "Slice", "Gather", "Pad", "Transpose", "Reshape", "Flatten"),
    *("Relu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Gelu", "Erf", "Softmax", "BatchNormalization"),
    *("LayerNormalization", "GroupNormalization", "InstanceNormalization", "LRN", "ReduceMean", "Resize", "Zero"),
    *("Attention", "LSTM", "GRU", "RNN", "other"),
)
FEATURES = (
    *("flops", "bytes in", "bytes out", "bytes of weights", "intensity", "channels in", "channels out"),
    *("positions in", "positions out", "window", "stride", "groups", "depthwise", "dilated", "operands"),
    *("normalised", "activated", "paired", "viewed", "not counted"),
    *("channels in by 4", "channels in by 8", "channels in by 16"),
    *("channels out by 4", "channels out by 8", "channels out by 16", "row by 2", "row by 4"),
)
# Channels, or positions of a row of the output, that are computed at once; a remainder takes a slower path.
BLOCKS, ROW_BLOCKS = (4, 8, 16), (2, 4)
ON_LAST_AXIS = {"Gemm", "MatMul", "LayerNormalization"}
_KIND = {kind: index for index, kind in enumerate(KINDS)}


@dataclass(frozen=True, kw_only=True, config=STRICT)
class KernelTokenizer(NetworkTokenizer):
    """One node per kernel, with its FEATURES and its kind as an index of KINDS. Repeated edges are merged."""

    @property
    def features(self) -> int:
        """Length of FEATURES."""
        return len(FEATURES)

    @property
    def kinds(self) -> int:
        """Length of KINDS."""
        return len(KINDS)

    def network(self, architecture: Architecture) -> Packed:
        """The kernels of one network, as ``kernels`` orders them, and the edges between them."""
        found, counted = kernels(architecture), cost(architecture)
        operands = [[source for _, source in pairs] for pairs in architecture.operands()]
        home = {vertex: row for row, kernel in enumerate(found) for vertex in (*kernel.vertices, *kernel.repeated)}
        edges = sorted({(home[s], home[t]) for s, t in architecture.edges if s in home and home[s] != home[t]})
        columns = np.nan_to_num(np.stack([counted.flops_N, counted.weights_N]))
        rows = [_features(architecture, kernel, operands, columns, counted.unknown) for kernel in found]
        kinds = [_told_apart(_kind(architecture, k.anchor), row) for k, row in zip(found, rows, strict=True)]
        return Packed(
            torch.tensor(rows, dtype=torch.float32).view(-1, len(FEATURES)),
            torch.tensor(kinds, dtype=torch.int64),
            torch.tensor(edges, dtype=torch.int64).view(-1, 2).T,
            torch.tensor([len(found)]),
            torch.tensor([len(edges)]),
            torch.zeros(1, 0),
        )


def _features(
    architecture: Architecture,
    kernel: Kernel,
    operands: list[list[int]],
    columns: NDArray[np.float64],
    unknown: dict[int, str],
) -> list[float]:
    vertices = list(kernel.vertices)
    anchor = architecture.ops[kernel.anchor]
    inside = set(vertices)
    sources = [source for vertex in vertices for source in operands[vertex] if source not in inside]
    first = _shape(architecture, operands[kernel.anchor][0]) if operands[kernel.anchor] else ()
    out = _shape(architecture, vertices[-1])
    flops, weights = columns[:, vertices].sum(axis=1)
    read = VALUE_BYTES * sum(prod(_shape(architecture, source)) for source in sources)
    written, weights = VALUE_BYTES * prod(out), VALUE_BYTES * weights
    group = anchor.get("group", 1)
    group = group if isinstance(group, int) else 1
    last = _kind(architecture, kernel.anchor) in ON_LAST_AXIS
    (channels_in, positions_in), (channels_out, positions_out) = (_apart(shape, last) for shape in (first, out))
    kinds = {_kind(architecture, vertex) for vertex in vertices if vertex != kernel.anchor}
    return [
        log1p(flops),
        log1p(read),
        log1p(written),
        log1p(weights),
        log((flops + 1) / (read + written + weights + 1)),
        log1p(channels_in),
        log1p(channels_out),
        log1p(positions_in),
        log1p(positions_out),
        log(_extent(anchor.get("kernel_shape"))),
        log(_extent(anchor.get("strides"))),
        log(max(group, 1)),
        float(1 < group == channels_in),
        float(_extent(anchor.get("dilations")) > 1),
        log1p(len(sources)),
        float("BatchNormalization" in kinds),
        float(bool(kinds & ACTIVATIONS)),
        float(bool(kinds & PAIRS)),
        float(bool(kinds & VIEWS)),
        float(any(vertex in unknown for vertex in vertices)),
        *(float(channels % block == 0) for channels in (channels_in, channels_out) for block in BLOCKS),
        *(float((out[-1] if len(out) > 2 and not last else 1) % block == 0) for block in ROW_BLOCKS),
    ]


def _told_apart(kind: str, row: list[float]) -> int:
    """Index in KINDS."""
    if kind == "Conv":
        told = dict(zip(FEATURES, row, strict=True))
        kind = DEPTHWISE if told["depthwise"] else kind if told["window"] or told["groups"] else POINTWISE
    return _KIND.get(kind, len(KINDS) - 1)


def _kind(architecture: Architecture, vertex: int) -> str:
    kind = architecture.ops[vertex].kind
    return ALIASES.get(kind, kind)


def _shape(architecture: Architecture, vertex: int) -> tuple[int, ...]:
    return architecture.ops[vertex].shape or ()


def _apart(shape: tuple[int, ...], last: bool) -> tuple[int, int]:
    """Channels and positions: the last axis and the rows of one example for dense layers, else as for images."""
    if last and len(shape) > 2:
        return shape[-1], prod(shape[1:-1])
    return (shape[1] if len(shape) > 1 else 1), prod(shape[2:])


def _extent(value: object) -> int:
    """Positions of a window, 1 if it is missing."""
    return max(1, prod(value)) if isinstance(value, tuple) else 1
