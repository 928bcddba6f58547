"""Kernels as numbers: sums that must agree with the whole network's cost, and laws of laying networks side by side."""

import numpy as np
import pytest

from narformer.arch import Architecture, Op
from narformer.arch.cost import cost
from narformer.arch.graph import topological_order
from narformer.spaces.families import FAMILIES
from narformer.tokens.kernels import FEATURES, KINDS, kernel_graph, together


def first(name, number=1):
    return FAMILIES[name].variant(number)


def column(graph, name):
    return graph.x_KF[:, FEATURES.index(name)].astype(np.float64)


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"nasbench201"}))
def test_kernels_together_cost_what_the_network_costs(name):
    network = first(name)
    graph, counted = kernel_graph(network), cost(network)
    assert np.expm1(column(graph, "flops")).sum() == pytest.approx(counted.flops, rel=1e-4)
    stored = 4 * np.nansum(counted.stored_N)
    assert np.expm1(column(graph, "bytes of weights")).sum() == pytest.approx(stored, rel=1e-4)
    assert not column(graph, "not counted").any()
    assert np.isfinite(graph.x_KF).all()


def test_one_convolution_by_hand():
    ops = (
        Op.of("Input", (2, 6, 10, 10)),
        Op.of("Conv", (2, 12, 5, 5), kernel_shape=(3, 3), strides=(2, 2), pads=(1, 1, 1, 1), group=3),
        Op.of("Relu", (2, 12, 5, 5)),
    )
    graph = kernel_graph(Architecture(ops, ((0, 1), (1, 2))))
    assert (KINDS[graph.kind_K[0]], len(graph.kind_K), graph.edge_2Y.shape) == ("Conv", 1, (2, 0))
    told = dict(zip(FEATURES, graph.x_KF[0].astype(np.float64), strict=True))
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


def test_a_network_without_operations_has_no_kernels():
    graph = kernel_graph(Architecture((Op.of("Input", (1, 3)),), ()))
    assert (graph.x_KF.shape, graph.edge_2Y.shape) == ((0, len(FEATURES)), (2, 0))


def test_an_unknown_kind_is_other_and_said_to_be_uncounted():
    graph = kernel_graph(Architecture((Op.of("Input", (1, 3)), Op.of("Mystery", (1, 3))), ((0, 1),)))
    assert KINDS[graph.kind_K[0]] == "other"
    assert column(graph, "not counted").tolist() == [1]


def test_networks_side_by_side_stay_apart():
    alone = [kernel_graph(first(name)) for name in ("alexnet", "resnet", "squeezenet")]
    all_ = together(alone)
    assert (all_.count, len(all_.kind_K)) == (3, sum(len(graph.kind_K) for graph in alone))
    owners = all_.owner_K[all_.edge_2Y]
    assert (owners[0] == owners[1]).all()
    start = len(alone[0].kind_K)
    np.testing.assert_array_equal(all_.x_KF[all_.owner_K == 1], alone[1].x_KF)
    np.testing.assert_array_equal(all_.edge_2Y[:, owners[0] == 1] - start, alone[1].edge_2Y)
    again = together([together(alone[:2]), alone[2]])
    np.testing.assert_array_equal(again.owner_K, all_.owner_K)
    np.testing.assert_array_equal(again.edge_2Y, all_.edge_2Y)


@pytest.mark.parametrize("name", FAMILIES)
def test_edges_appear_once_and_close_no_cycle(name):
    graph = kernel_graph(first(name, 7) if name != "nasbench201" else first(name, 12_345))
    pairs = list(zip(*graph.edge_2Y.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    assert len(topological_order(len(graph.kind_K), pairs)) == len(graph.kind_K)
