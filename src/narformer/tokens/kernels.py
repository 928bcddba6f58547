"""The kernels of whole networks as numbers: what a roofline model would ask of each, on a logarithmic scale.

Networks are laid out one after the other, without padding, so that cost grows with kernels and edges, not with their
square. Letters: B networks, K kernels of all of them, F numbers per kernel, Y edges between kernels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import log, log1p, prod

import numpy as np
from numpy.typing import NDArray

from narformer.arch import Architecture
from narformer.arch.cost import cost
from narformer.arch.kernels import ACTIVATIONS, PAIRS, VIEWS, Kernel, kernels
from narformer.arch.ops import ALIASES, VALUE_BYTES

__all__ = ["FEATURES", "KINDS", "KernelGraph", "kernel_graph", "together"]

# Kinds of anchors that are told apart; all others share the last number.
KINDS = (
    *("Conv", "ConvTranspose", "Gemm", "MatMul", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"),
    *("Add", "Mul", "Sub", "Div", "Concat", "Split", "Slice", "Gather", "Pad", "Transpose", "Reshape", "Flatten"),
    *("Relu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Gelu", "Erf", "Softmax", "BatchNormalization"),
    *("LayerNormalization", "GroupNormalization", "InstanceNormalization", "LRN", "ReduceMean", "Resize", "Zero"),
    *("Attention", "LSTM", "GRU", "RNN", "other"),
)
FEATURES = (
    *("flops", "bytes in", "bytes out", "bytes of weights", "intensity", "channels in", "channels out"),
    *("positions in", "positions out", "window", "stride", "groups", "depthwise", "dilated", "operands"),
    *("normalised", "activated", "paired", "viewed", "not counted"),
)
_KIND = {kind: index for index, kind in enumerate(KINDS)}


@dataclass(frozen=True, eq=False)
class KernelGraph:
    """Kernels of B networks.

    x_KF:    float32, FEATURES
    kind_K:  int64, index in KINDS
    edge_2Y: int64, source and target of each edge, rows of x_KF
    owner_K: int64, the network that each kernel belongs to, ascending
    count:   B
    """

    x_KF: NDArray[np.float32]
    kind_K: NDArray[np.int64]
    edge_2Y: NDArray[np.int64]
    owner_K: NDArray[np.int64]
    count: int = 1


def kernel_graph(architecture: Architecture) -> KernelGraph:
    """The kernels of one network and the edges between them; an edge appears once."""
    found = kernels(architecture)
    counted = cost(architecture)
    operands = [[source for _, source in pairs] for pairs in architecture.operands()]
    home = {vertex: row for row, kernel in enumerate(found) for vertex in kernel.vertices}
    edges = sorted({(home[s], home[t]) for s, t in architecture.edges if s in home and home[s] != home[t]})
    columns = np.nan_to_num(np.stack([counted.flops_N, counted.stored_N]))
    return KernelGraph(
        np.array([_features(architecture, kernel, operands, columns, counted.unknown) for kernel in found], np.float32)
        if found
        else np.zeros((0, len(FEATURES)), np.float32),
        np.array([_KIND.get(_kind(architecture, kernel.anchor), len(KINDS) - 1) for kernel in found], np.int64),
        np.array(edges, np.int64).reshape(-1, 2).T,
        np.zeros(len(found), np.int64),
    )


def together(graphs: Sequence[KernelGraph]) -> KernelGraph:
    """Many networks one after the other."""
    starts = [0, *accumulate(len(graph.kind_K) for graph in graphs)]
    networks = [0, *accumulate(graph.count for graph in graphs)]
    return KernelGraph(
        np.concatenate([graph.x_KF for graph in graphs]),
        np.concatenate([graph.kind_K for graph in graphs]),
        np.concatenate([graph.edge_2Y + start for graph, start in zip(graphs, starts, strict=False)], axis=1),
        np.concatenate([graph.owner_K + first for graph, first in zip(graphs, networks, strict=False)]),
        networks[-1],
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
    channels_in, channels_out = (shape[1] if len(shape) > 1 else 1 for shape in (first, out))
    kinds = {_kind(architecture, vertex) for vertex in vertices if vertex != kernel.anchor}
    return [
        log1p(flops),
        log1p(read),
        log1p(written),
        log1p(weights),
        log((flops + 1) / (read + written + weights + 1)),
        log1p(channels_in),
        log1p(channels_out),
        log1p(prod(first[2:])),
        log1p(prod(out[2:])),
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
    ]


def _kind(architecture: Architecture, vertex: int) -> str:
    kind = architecture.ops[vertex].kind
    return ALIASES.get(kind, kind)


def _shape(architecture: Architecture, vertex: int) -> tuple[int, ...]:
    return architecture.ops[vertex].shape or ()


def _extent(value: object) -> int:
    """Positions of a window, 1 where there is none."""
    return max(1, prod(value)) if isinstance(value, tuple) else 1
