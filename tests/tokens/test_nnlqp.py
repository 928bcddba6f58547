"""NNLQP's numbers of a node, by hand on one of each operation with attributes; two encodings of the same numbers."""

import numpy as np
import pytest
import torch

from narformer.network import Architecture, Op
from narformer.network.cost import cost
from narformer.spaces.families import FAMILIES
from narformer.tokens.nnlqp import (
    KINDS,
    LENGTH,
    SCALES,
    NarFormerNetworkTokenizer,
    NarFormerV2NetworkTokenizer,
    NnlpTokenizer,
    nodes,
)

CONV = {"kernel_shape": (3, 5), "strides": (2, 1), "pads": (1, 2, 1, 2), "group": 3, "bias": 1}


@pytest.fixture
def small():
    ops = (
        Op.of("Input", (2, 6, 10, 10)),
        Op.of("Conv", (2, 12, 5, 10), **CONV),
        Op.of("Mystery", (2, 12, 5, 10)),
        Op.of("Add", (2, 12, 5, 10)),
        Op.of("Transpose", (2, 5, 10, 12), perm=(0, 2, 3, 1)),
        Op.of("Gemm", (2, 5, 10, 7), constant=91),
    )
    return Architecture(ops, ((0, 1), (1, 2), (2, 3), (2, 3), (3, 4), (4, 5)))


def test_nodes_by_hand(small):
    told = nodes(small)
    assert [KINDS[kind] if kind >= 0 else None for kind in told.kind_N] == [
        None,
        "Conv",
        None,
        "Add",
        "Transpose",
        "Gemm",
    ]
    assert told.slot_NS[1].tolist() == [3, 2, 1, 1, 3, 1, 0, 0]
    assert told.slot_NS[4].tolist() == [0, 2, 3, 1, 0, 0, 0, 0]
    assert told.slot_NS[5].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert told.has_NS.sum(axis=1).tolist() == [0, 6, 0, 0, 4, 1]
    center, scale = SCALES["group"]
    assert told.scaled_NS[1, 4] == pytest.approx((3 - center) / scale)
    assert told.shape_N4[4].tolist() == [2, 5, 10, 12]
    assert told.edge_2Y.T.tolist() == [[0, 1], [1, 2], [2, 3], [3, 4], [4, 5]], "x + x is one edge"
    counted = cost(small)
    assert told.whole_4 == pytest.approx(
        [2, *(x / 1e9 for x in (counted.flops, counted.params, counted.memory_access))]
    )


def test_widths_and_zeros(small):
    """As printed: 44 and 4, 152 and 40; what a node has not is zeros, an unknown operation a row without a one."""
    for tokenizer, features, whole in ((NnlpTokenizer(), 44, 4), (NarFormerV2NetworkTokenizer(), 152, 40)):
        batch = tokenizer.network(small)
        assert (
            (tokenizer.features, tokenizer.whole) == (features, whole) == (batch.x_NF.shape[1], batch.whole_BG.shape[1])
        )
        assert batch.x_NF[:, :32].sum(1).tolist() == [0, 1, 0, 1, 1, 1]
        assert not batch.x_NF[2, 32:40].any()
        assert batch.kind_N.max() < tokenizer.kinds


def test_scalar_codes_are_sines_and_cosines(small):
    batch = NarFormerV2NetworkTokenizer().network(small)
    frequency = 10000.0 ** (-np.arange(LENGTH) / LENGTH)

    def code(value):
        return torch.from_numpy(np.stack([np.sin(value * frequency), np.cos(value * frequency)], 1).ravel()).float()

    torch.testing.assert_close(batch.x_NF[1, 32:42], code(3.0))
    torch.testing.assert_close(batch.x_NF[1, 72:82], code(3.0))  # the fifth slot: groups
    torch.testing.assert_close(batch.x_NF[1, 112:122], code(2.0))  # the batch, first of the shape
    torch.testing.assert_close(batch.whole_BG[0, :10], code(2.0))


def test_narformer_by_hand(small):
    """960 numbers of a node: operation, 8 attributes, 4 dimensions, sources, itself; then the end token."""
    tokenizer = NarFormerNetworkTokenizer()
    batch = tokenizer.network(small)
    told = nodes(small)
    assert (tokenizer.features, tokenizer.whole) == (960, 960 + 256)
    assert batch.x_NF.shape == (7, 960)
    assert (batch.nodes_B.tolist(), batch.edges_B.tolist()) == ([7], [5])
    assert batch.kind_N.max() + 1 == tokenizer.kinds

    def code(value, length=32):
        frequency = 10000.0 ** (-np.arange(length) / length)
        return torch.from_numpy(np.stack([np.sin(value * frequency), np.cos(value * frequency)], 1).ravel()).float()

    slot = batch.x_NF.view(7, 15, 64)
    torch.testing.assert_close(slot[1, 0], code(0.0))  # Conv is the first operation
    assert not slot[[0, 2], 0].any(), "Input and Mystery are beyond the list"
    torch.testing.assert_close(slot[1, 1], code(3.0))  # the first attribute: its kernel
    assert not slot[1, 7:9].any(), "six attributes of eight"
    torch.testing.assert_close(slot[1, 9], code(2.0))  # the batch
    torch.testing.assert_close(slot[0, 13], code(-1.0))
    torch.testing.assert_close(slot[4, 13], code(3.0))
    torch.testing.assert_close(slot[3, 13], code(2.0))  # x + x has one parent
    torch.testing.assert_close(slot[5, 14], code(5.0))
    torch.testing.assert_close(batch.x_NF[6], code(1e5).repeat(15))
    torch.testing.assert_close(batch.whole_BG[0, :960], code(6.0, 480))
    torch.testing.assert_close(batch.whole_BG[0, 960 + 64 : 960 + 128], code(told.whole_4[1]))


def test_narformer_adds_up_the_codes_of_parents():
    ops = tuple(Op.of(kind, (1, 2)) for kind in ("Input", "Relu", "Sigmoid", "Add", "Tanh"))
    slot = NarFormerNetworkTokenizer().network(Architecture(ops, ((0, 1), (0, 2), (1, 3), (2, 3)))).x_NF.view(6, 15, 64)
    torch.testing.assert_close(slot[3, 13], slot[1, 14] + slot[2, 14])
    torch.testing.assert_close(slot[4, 13], slot[0, 14])  # a later node without parents: f(0)


@pytest.mark.parametrize("name", ["alexnet", "resnet", "nasbench201"])
def test_families_are_all_known_operations_but_their_inputs(name):
    network = FAMILIES[name].variant(12 if name == "nasbench201" else 1)
    told = nodes(network)
    unknown = {network.ops[v].kind for v in np.flatnonzero(told.kind_N < 0)}
    assert unknown <= {"Input", "LRN", "Zero", "HardSwish", "HardSigmoid"}
    assert NnlpTokenizer().network(network).x_NF.isfinite().all()
