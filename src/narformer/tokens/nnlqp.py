"""The node features of NNLQP (Liu et al., ICPP 2022) and its successors for whole networks, and three encodings.

The features are a code of the operation, up to eight attributes (the first number of each tuple), the output shape, and
four numbers of the network. NNLP scales them; NAR-Former (Yi et al., CVPR 2023) and NAR-Former V2 (NeurIPS 2023) encode
each by sines and cosines.
Letters: N nodes, S slots of attributes, C numbers per scalar code.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from narformer.network.cost import cost
from narformer.network.graph import Architecture, Op
from narformer.network.ops import filled
from narformer.tokens.narformer import END
from narformer.tokens.packed import Packed
from narformer.tokens.scalar import trans_code
from narformer.tokens.tokenizer import STRICT, Length, NetworkTokenizer

__all__ = ["KINDS", "NarFormerNetworkTokenizer", "NarFormerV2NetworkTokenizer", "NnlpTokenizer", "Nodes", "nodes"]

# The index is the code; any other operation is a row of zeros, as in the released code.
KINDS = (
    *("Conv", "Relu", "Add", "Sigmoid", "Reshape", "MaxPool", "Split", "GlobalAveragePool", "Gemm", "Transpose"),
    *("Upsample", "BatchNormalization", "Mul", "Concat", "Flatten", "AveragePool", "Cast", "MatMul", "ReduceMean"),
    *("Pow", "Slice", "Div", "Sub", "Sqrt", "Clip", "Softmax", "Tanh", "ConvTranspose"),
)
CODES, SLOTS, DIMS = 32, 8, 4  # columns of the one-hot code, of the attributes, of the shape
LENGTH = 5  # number of sines, and of cosines, in a scalar code
_WINDOW = ("kernel_shape", "strides", "pads")
_CONV = (*_WINDOW, "dilations", "group", "bias")
ATTRIBUTES = {
    "Conv": _CONV,
    "ConvTranspose": (*_CONV, "output_padding"),
    "MaxPool": _WINDOW,
    "AveragePool": _WINDOW,
    "Gemm": ("bias",),
    "Transpose": ("perm",),
}
# Centre and scale of each attribute and dimension, as in the released code.
SCALES = {
    "kernel_shape": (2.53, 56.0),
    "strides": (1.16, 56.0),
    "pads": (0.75, 6.0),
    "dilations": (1.0, 1.0),
    "group": (15.08, 6144.0),
    "bias": (0.77, 1.0),
    "perm": (1.78, 4.0),
    "output_padding": (0.0, 1e-5),
}
SHAPE_CENTER, SHAPE_SCALE = (12.25, 286.96, 32.62, 31.80), (1024.0, 2496.0, 256.0, 256.0)


class Nodes(NamedTuple):
    """The nodes of a network.

    kind_N:   index in KINDS, -1 for any other operation
    slot_NS:  attributes in order; ``has_NS`` is true for used slots; ``scaled_NS`` has the scales of NNLP
    shape_N4: output shape, four dimensions, padded with zeros
    edge_2Y:  source and target of each edge, repeated edges merged
    whole_4:  batch; FLOPs, parameters and memory access in 1e9
    """

    kind_N: NDArray[np.int64]
    slot_NS: NDArray[np.float64]
    has_NS: NDArray[np.bool_]
    scaled_NS: NDArray[np.float64]
    shape_N4: NDArray[np.float64]
    edge_2Y: NDArray[np.int64]
    whole_4: NDArray[np.float64]


def nodes(architecture: Architecture) -> Nodes:
    """The nodes of a network, one per vertex. A canonical form has no Identity or Dropout, so they are not nodes."""
    N = len(architecture)
    slot_NS, has_NS, scaled_NS = np.zeros((N, SLOTS)), np.zeros((N, SLOTS), bool), np.zeros((N, SLOTS))
    kind_N, shape_N4 = np.full(N, -1), np.zeros((N, DIMS))
    for v, op in enumerate(map(filled, architecture.ops)):
        kind_N[v] = _CODE.get(op.kind, -1)
        for slot, (name, value) in enumerate(_numbers(op)[:SLOTS]):
            center, scale = SCALES[name]
            slot_NS[v, slot], has_NS[v, slot], scaled_NS[v, slot] = value, True, (value - center) / scale
        shape = (op.shape or ())[:DIMS]
        shape_N4[v, : len(shape)] = shape
    counted = cost(architecture)
    batch = shape_N4[0, 0] if N else 0
    return Nodes(
        kind_N,
        slot_NS,
        has_NS,
        scaled_NS,
        shape_N4,
        np.array(sorted(set(architecture.edges)), np.int64).reshape(-1, 2).T,
        np.array([batch, counted.flops / 1e9, counted.params / 1e9, counted.memory_access / 1e9]),
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NnlpTokenizer(NetworkTokenizer):
    """NNLP's 44 numbers per node: one-hot operation, attributes and output shape, scaled; four per network."""

    @property
    def features(self) -> int:
        """44."""
        return CODES + SLOTS + DIMS

    @property
    def kinds(self) -> int:
        """The operations, and one number for all others."""
        return len(KINDS) + 1

    @property
    def whole(self) -> int:
        """4."""
        return 4

    def network(self, architecture: Architecture) -> Packed:
        """One network as a Packed batch."""
        told = nodes(architecture)
        shape_N4 = (told.shape_N4 - SHAPE_CENTER) / SHAPE_SCALE
        return _packed(told, [_one_hot(told.kind_N), told.scaled_NS, shape_N4], told.whole_4)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NarFormerV2NetworkTokenizer(NetworkTokenizer):
    """NAR-Former V2's 152 numbers per node (one-hot operation, attributes and dimensions as codes), 40 per network.

    A missing attribute is ten zeros, a missing dimension the code of 0, as in the released code.
    operation: ``code`` encodes the operation as a scalar code, too (Table 5, row 2)
    """

    operation: Literal["one-hot", "code"] = "one-hot"

    @property
    def features(self) -> int:
        """152; 130 if the operation is a scalar code."""
        return (CODES if self.operation == "one-hot" else 2 * LENGTH) + (SLOTS + DIMS) * 2 * LENGTH

    @property
    def kinds(self) -> int:
        """The operations, and one number for all others."""
        return len(KINDS) + 1

    @property
    def whole(self) -> int:
        """40: four numbers of the network, each as scalar code."""
        return 4 * 2 * LENGTH

    def network(self, architecture: Architecture) -> Packed:
        """One network as a Packed batch."""
        told, N = nodes(architecture), len(architecture)
        slot_NSC = trans_code(told.slot_NS, LENGTH) * told.has_NS[:, :, None]
        codes = slot_NSC.reshape(N, -1), trans_code(told.shape_N4, LENGTH).reshape(N, -1)
        op_NC: NDArray[np.floating] = _one_hot(told.kind_N)
        if self.operation == "code":
            op_NC = trans_code(told.kind_N.astype(np.float64), LENGTH) * (told.kind_N >= 0)[:, None]
        return _packed(told, (op_NC, *codes), trans_code(told.whole_4, LENGTH).ravel())


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NarFormerNetworkTokenizer(NetworkTokenizer):
    """NAR-Former's 960 numbers per node (Sec. 3.2): 15 scalars, each as scalar code.

    These are the operation, eight attributes, four dimensions, Σ_{j parent of i} f(j), and f(i). The first node's
    source is f(-1); a later node without parents has f(0). An operation outside KINDS and a missing attribute are
    zeros; a missing dimension is the code of 0. The end token, the last one, is f(1e5) 15 times. ``whole`` is the code
    of the number of nodes, as long as a token, which the model turns into the depth token, and then the codes of four
    numbers of the network.

    Codes are those of the transformer, because the linear frequencies used for cells repeat every 62 positions.
    length: L of each scalar code.
    """

    length: Length = 32

    @property
    def features(self) -> int:
        """30L."""
        return (1 + SLOTS + DIMS + 2) * 2 * self.length

    @property
    def kinds(self) -> int:
        """The operations, one number for all others, and the end token."""
        return len(KINDS) + 2

    @property
    def whole(self) -> int:
        """30L of the depth and 8L of the network."""
        return self.features + 4 * 2 * self.length

    def network(self, architecture: Architecture) -> Packed:
        """One network as a Packed batch of its nodes and the end token."""
        told, N = nodes(architecture), len(architecture)
        position_NC = trans_code(np.arange(N, dtype=np.float64), self.length)
        source_NC = np.zeros_like(position_NC)
        np.add.at(source_NC, told.edge_2Y[1], position_NC[told.edge_2Y[0]])
        source_NC[np.setdiff1d(np.arange(N), told.edge_2Y[1])] = trans_code(np.zeros(()), self.length)
        source_NC[:1] = trans_code(np.array(-1.0), self.length)
        node_NF = np.concatenate(
            [
                trans_code(told.kind_N.astype(np.float64), self.length) * (told.kind_N >= 0)[:, None],
                (trans_code(told.slot_NS, self.length) * told.has_NS[:, :, None]).reshape(N, -1),
                trans_code(told.shape_N4, self.length).reshape(N, -1),
                source_NC,
                position_NC,
            ],
            axis=1,
        )
        end_F = np.tile(trans_code(np.array(float(END)), self.length), self.features // (2 * self.length))
        depth_F = trans_code(np.array(float(N)), self.features // 2)
        batch = _packed(told, [node_NF], np.concatenate([depth_F, trans_code(told.whole_4, self.length).ravel()]))
        return replace(
            batch,
            x_NF=torch.cat([batch.x_NF, torch.from_numpy(end_F)[None]]),
            kind_N=torch.cat([batch.kind_N, torch.tensor([len(KINDS) + 1])]),
            nodes_B=torch.tensor([N + 1]),
        )


_CODE = {kind: code for code, kind in enumerate(KINDS)}


def _numbers(op: Op) -> list[tuple[str, float]]:
    """The attributes of an operation: the first number of each, all of a permutation."""
    found = []
    for name in ATTRIBUTES.get(op.kind, ()):
        value = op.get(name)
        values = value if isinstance(value, tuple) else (value,)
        kept = values if name == "perm" else values[:1]
        found += [(name, float(number)) for number in kept if isinstance(number, int | float)]
    return found


def _one_hot(kind_N: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray((kind_N[:, None] == np.arange(CODES)).astype(np.float64))


def _packed(told: Nodes, parts: Sequence[NDArray[np.floating]], whole_G: NDArray[np.floating]) -> Packed:
    kind_N = np.where(told.kind_N < 0, len(KINDS), told.kind_N)
    return Packed(
        torch.from_numpy(np.concatenate(parts, axis=1)).float(),
        torch.from_numpy(kind_N),
        torch.from_numpy(told.edge_2Y),
        torch.tensor([len(kind_N)]),
        torch.tensor([told.edge_2Y.shape[1]]),
        torch.from_numpy(whole_G)[None].float(),
    )
