"""Which operations a runtime computes in one go: the rules on networks small enough to draw, laws on whole families."""

import pytest

from narformer.network import Architecture, Op
from narformer.network.kernels import kernels
from narformer.spaces.families import FAMILIES

SHAPE = (1, 8, 4, 4)


def net(*kinds, edges=None):
    """A chain of operations after an input, or with these edges."""
    ops = tuple(Op.of(kind, SHAPE) for kind in ("Input", *kinds))
    edges = edges or tuple((i, i + 1) for i in range(len(kinds)))
    return Architecture(ops, tuple(edges))


def parts(architecture):
    return [kernel.vertices for kernel in kernels(architecture)]


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (("Conv", "BatchNormalization", "Relu"), [(1, 2, 3)]),
        (("Conv", "Relu", "MaxPool", "Flatten", "Gemm"), [(1, 2), (3, 4), (5,)]),
        (("Relu", "Conv"), [(1,), (2,)]),
        (("Conv", "Softmax"), [(1,), (2,)]),
        (("MatMul", "Gelu", "MatMul"), [(1, 2), (3,)]),
    ],
)
def test_chains(kinds, expected):
    assert parts(net(*kinds)) == expected


def test_an_add_joins_the_later_convolution():
    #      input ─ Conv ─ Relu ─ Conv ─ Add ─ Relu
    #                       └────────────┘
    assert parts(
        net("Conv", "Relu", "Conv", "Add", "Relu", edges=((0, 1), (1, 2), (2, 3), (3, 4), (2, 4), (4, 5)))
    ) == [
        (1, 2),
        (3, 4, 5),
    ]


def test_of_two_convolutions_one_takes_the_add():
    assert parts(net("Conv", "Conv", "Add", edges=((0, 1), (0, 2), (1, 3), (2, 3)))) == [(1,), (2, 3)]


def test_a_value_that_is_used_twice_is_computed_before_both():
    #      Conv ─ Relu ─ Concat
    #         └───────────┘
    assert parts(net("Conv", "Relu", "Concat", edges=((0, 1), (1, 2), (1, 3), (2, 3)))) == [(1,), (2,), (3,)]


def test_only_one_add_joins():
    edges = ((0, 1), (1, 2), (0, 2), (2, 3), (0, 3))
    assert parts(net("Conv", "Add", "Add", edges=edges)) == [(1, 2), (3,)]


def test_what_is_the_same_of_the_same_is_computed_once():
    #      Conv ─ Relu ─ Conv ─┐       the Relus of one value are one, and what follows reads that;
    #         ├── Relu ─ Conv ─ Concat     convolutions have weights of their own
    #         └── Tanh ───────┘
    edges = ((0, 1), (1, 2), (2, 3), (1, 4), (4, 5), (1, 6), (3, 7), (5, 7), (6, 7))
    found = kernels(net("Conv", "Relu", "Conv", "Relu", "Conv", "Tanh", "Concat", edges=edges))
    assert [(k.vertices, k.repeated) for k in found] == [
        ((1,), ()),
        ((2,), (4,)),
        ((3,), ()),
        ((5,), ()),
        ((6,), ()),
        ((7,), ()),
    ]


def test_a_convolution_takes_both_of_two_equal_activations():
    #      Conv ─ Relu ─ Concat ─ Conv
    #         └── Relu ───┘
    edges = ((0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (4, 5))
    found = kernels(net("Conv", "Relu", "Relu", "Concat", "Conv", edges=edges))
    assert [(k.vertices, k.repeated) for k in found] == [((1, 2), (3,)), ((4,), ()), ((5,), ())]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_operation_but_the_inputs_is_in_one_kernel(name):
    family = FAMILIES[name]
    numbers = family.numbers()
    for _ in range(4):
        architecture = family.variant(next(numbers))
        found = kernels(architecture)
        inside = sorted(vertex for kernel in found for vertex in (*kernel.vertices, *kernel.repeated))
        assert inside == [v for v, op in enumerate(architecture.ops) if op.kind != "Input"]
        assert all(kernel.anchor == kernel.vertices[0] for kernel in found)
        assert len(found) < len(architecture)
