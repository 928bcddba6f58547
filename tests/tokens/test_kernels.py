"""Kernels as numbers: sums that must agree with the whole network's cost."""

import numpy as np
import pytest

from narformer.network import Architecture, Op
from narformer.network.cost import cost
from narformer.network.graph import topological_order
from narformer.spaces.families import FAMILIES
from narformer.tokens.kernels import FEATURES, KINDS, KernelTokenizer


def first(name, number=1):
    return FAMILIES[name].variant(number)


def column(graph, name):
    return graph.x_NF[:, FEATURES.index(name)].double().numpy()


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"nasbench201"}))
def test_kernels_together_cost_what_the_network_costs(name):
    network = first(name)
    graph, counted = KernelTokenizer().network(network), cost(network)
    assert np.expm1(column(graph, "flops")).sum() == pytest.approx(counted.flops, rel=1e-4)
    stored = 4 * np.nansum(counted.weights_N)
    assert np.expm1(column(graph, "bytes of weights")).sum() == pytest.approx(stored, rel=1e-4)
    assert not column(graph, "not counted").any()
    assert graph.x_NF.isfinite().all()


def test_one_convolution_by_hand():
    ops = (
        Op.of("Input", (2, 6, 10, 10)),
        Op.of("Conv", (2, 12, 5, 5), kernel_shape=(3, 3), strides=(2, 2), pads=(1, 1, 1, 1), group=3),
        Op.of("Relu", (2, 12, 5, 5)),
    )
    graph = KernelTokenizer().network(Architecture(ops, ((0, 1), (1, 2))))
    assert (KINDS[graph.kind_N[0]], len(graph.kind_N), graph.edge_2Y.shape) == ("Conv", 1, (2, 0))
    told = dict(zip(FEATURES, graph.x_NF[0].tolist(), strict=True))
    expected = {
        "bytes in": np.log1p(4 * 2 * 6 * 100),
        "bytes out": np.log1p(4 * 2 * 12 * 25),
        "bytes of weights": np.log1p(4 * 12 * 2 * 9),
        "channels in": np.log1p(6),
        "channels out": np.log1p(12),
        "positions in": np.log1p(100),
        "positions out": np.log1p(25),
        "window": np.log(9),
        "stride": np.log(4),
        "groups": np.log(3),
        "depthwise": 0,
        "operands": np.log1p(1),
        "activated": 1,
        "normalised": 0,
    }
    assert {name: told[name] for name in expected} == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", ["Gemm", "MatMul"])
def test_the_channels_of_a_dense_layer_are_its_last_axis(kind):
    """Of a text of 127 words, each 256 numbers; rows of another example are no positions."""
    ops = (Op.of("Input", (2, 127, 256)), Op.of(kind, (2, 127, 1024), bias=0))
    graph = KernelTokenizer().network(Architecture(ops, ((0, 1),)))
    told = dict(zip(FEATURES, graph.x_NF[0].tolist(), strict=True))
    expected = {"channels in": 256, "channels out": 1024, "positions in": 127, "positions out": 127}
    assert {name: np.expm1(told[name]) for name in expected} == pytest.approx(expected, rel=1e-5)
    assert [told[f"channels {way} by 16"] for way in ("in", "out")] == [1, 1]


def test_a_network_without_operations_has_no_kernels():
    graph = KernelTokenizer().network(Architecture((Op.of("Input", (1, 3)),), ()))
    assert (graph.x_NF.shape, graph.edge_2Y.shape) == ((0, len(FEATURES)), (2, 0))


def test_an_unknown_kind_is_other_and_said_to_be_uncounted():
    graph = KernelTokenizer().network(Architecture((Op.of("Input", (1, 3)), Op.of("Mystery", (1, 3))), ((0, 1),)))
    assert KINDS[graph.kind_N[0]] == "other"
    assert column(graph, "not counted").tolist() == [1]


@pytest.mark.parametrize("name", FAMILIES)
def test_edges_appear_once_and_close_no_cycle(name):
    graph = KernelTokenizer().network(first(name, 7) if name != "nasbench201" else first(name, 12_345))
    pairs = list(zip(*graph.edge_2Y.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    assert len(topological_order(len(graph.kind_N), pairs)) == len(graph.kind_N)
