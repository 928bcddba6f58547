"""The op table counts what its conventions say, and names what it cannot count."""

import pytest

from narformer.network import Architecture, Op, cost
from narformer.network.ops import ALIASES, OPS
from narformer.spaces.drawing import Drawing


def only(kind, out, *inputs, **attributes):
    ops = (*(Op.of("Input", shape) for shape in inputs), Op.of(kind, out, **attributes))
    last = len(inputs)
    return cost(Architecture(ops, tuple((i, last) for i in range(last))))


def test_a_convolution():
    c = only("Conv", (1, 8, 5, 5), (1, 4, 5, 5), kernel_shape=(3, 3), group=2, bias=1)
    assert c.macs == 8 * 25 * 2 * 9
    assert c.flops == 8 * 25 * (2 * 2 * 9 - 1 + 1)
    assert c.params == 8 * (2 * 9 + 1)
    assert c.activation_bytes == 4 * (100 + 200)
    assert c.memory_access == 100 + 200 + 8 * 19  # the input's own output counts, as in NNLQP


def test_a_dense_layer_counts_twice_its_products_less_one_plus_bias():
    assert only("Gemm", (1, 10), (1, 64), bias=1).flops == 10 * (2 * 64 - 1 + 1)
    assert only("Gemm", (1, 10), (1, 64), bias=0).flops == 10 * (2 * 64 - 1)
    assert only("Gemm", (1, 10), (1, 64), bias=1).params == 650
    assert only("Linear", (1, 10), (1, 64)).macs == 640


@pytest.mark.parametrize(
    ("kind", "out", "inputs", "attributes", "flops"),
    [
        ("BatchNormalization", (1, 4, 3, 3), [(1, 4, 3, 3)], {}, 4 * 36),
        ("Relu", (1, 4, 3, 3), [(1, 4, 3, 3)], {}, 0),
        ("MaxPool", (1, 4, 3, 3), [(1, 4, 3, 3)], {"kernel_shape": (3, 3)}, 0),
        ("AveragePool", (1, 4, 3, 3), [(1, 4, 3, 3)], {"kernel_shape": (3, 3)}, 36 * 9),
        ("GlobalAveragePool", (1, 4, 1, 1), [(1, 4, 3, 3)], {}, 36),
        ("Add", (1, 4), [(1, 4), (1, 4)], {}, 4),
        ("Sum", (1, 4), [(1, 4)] * 3, {}, 8),
        ("Mul", (1, 4), [(1, 4), (1, 4)], {}, 4),
        ("Sigmoid", (1, 4), [(1, 4)], {}, 4),
        ("Concat", (1, 8), [(1, 4), (1, 4)], {}, 0),
    ],
)
def test_flops_of_a_kind(kind, out, inputs, attributes, flops):
    assert only(kind, out, *inputs, **attributes).flops == flops


def test_running_statistics_are_stored_but_not_trained():
    c = only("BatchNormalization", (1, 4, 3, 3), (1, 4, 3, 3))
    assert (c.params, c.constants, c.stored_bytes) == (8, 8, 4 * 16)


def test_views_move_nothing():
    assert only("Flatten", (1, 36), (1, 4, 3, 3)).activation_bytes == 0


def test_twice_the_batch_is_twice_the_work_and_the_same_parameters():
    def drawn(batch):
        net = Drawing()
        net.classifier(net.relu(net.batch_norm(net.conv(net.input(batch, 3, 8, 8), 16, 3))), 10)
        return cost(net.finished("small"))

    one, two = drawn(1), drawn(2)
    assert (two.macs, two.flops, two.activation_bytes) == (2 * one.macs, 2 * one.flops, 2 * one.activation_bytes)
    assert two.params == one.params


@pytest.mark.parametrize(
    ("ops", "edges", "why"),
    [
        ((Op.of("Input", (1, 4)), Op.of("Wavelet", (1, 4))), ((0, 1),), "not in the op table"),
        ((Op.of("Input", (1, 4)), Op("Relu")), ((0, 1),), "output shape is not known"),
        ((Op("Input"), Op.of("Relu", (1, 4))), ((0, 1),), "shape of its input 0 is not known"),
        ((Op.of("Input", (1, 4, 8, 8)), Op.of("Conv", (1, 4, 8, 8))), ((0, 1),), "no kernel_shape"),
        ((Op.of("Input", (4,)), Op.of("Conv", (4,), kernel_shape=(3,))), ((0, 1),), "do not fit"),
        ((Op.of("Input", (1, 4)), Op.of("Relu", (1, 4))), (), "no input"),
    ],
)
def test_what_cannot_be_counted_is_named(ops, edges, why):
    c = cost(Architecture(ops, edges))
    assert why in c.unknown[1]
    assert "NOT COUNTED" in str(c)
    assert c.flops_N[1] != c.flops_N[1]


def test_aliases_name_no_kind_and_no_two():
    assert not set(ALIASES) & set(OPS)
    assert len(ALIASES) == sum(len(kind.aliases) for kind in OPS.values())
