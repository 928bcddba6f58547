"""The canonical form depends on the network alone, not on how it is written down."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narformer.network import Architecture, Op, canonical, fingerprint
from narformer.spaces import SPACES

KINDS = ("Relu", "Sigmoid", "Conv")


@st.composite
def networks(draw, most=9):
    count = draw(st.integers(1, most))
    ops = tuple(Op.of(draw(st.sampled_from(KINDS)), (1, 4, 8, 8)) for _ in range(count))
    pairs = [(i, j) for j in range(count) for i in range(j)]
    edges = draw(st.lists(st.sampled_from(pairs), max_size=2 * count)) if pairs else []
    return Architecture(ops, tuple(edges))


def relabelled(network, order):
    place = {vertex: position for position, vertex in enumerate(order)}
    edges = [(place[i], place[j]) for i, j in network.edges]
    return Architecture.sorted([network.ops[v] for v in order], edges, slots=network.slots)


@settings(deadline=None, max_examples=300)
@given(networks(), st.randoms(use_true_random=False))
def test_relabelling_changes_nothing(network, random):
    order = list(range(len(network)))
    random.shuffle(order)
    other = relabelled(network, order)
    assert canonical(other) == canonical(network)
    assert fingerprint(other) == fingerprint(network)


@settings(deadline=None, max_examples=100)
@given(networks())
def test_the_canonical_form_is_its_own(network):
    assert canonical(canonical(network)) == canonical(network)


@settings(deadline=None, max_examples=100)
@given(networks(), st.data())
def test_another_operation_is_another_fingerprint(network, data):
    v = data.draw(st.integers(0, len(network) - 1))
    other = Architecture((*network.ops[:v], Op.of("Softmax", (1, 4, 8, 8)), *network.ops[v + 1 :]), network.edges)
    assert fingerprint(other) != fingerprint(network)


@settings(deadline=None, max_examples=100)
@given(networks(), st.data())
def test_another_edge_is_another_fingerprint(network, data):
    if network.edges:
        k = data.draw(st.integers(0, len(network.edges) - 1))
        other = Architecture(network.ops, (*network.edges[:k], *network.edges[k + 1 :]))
        assert fingerprint(other) != fingerprint(network)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_whole_networks_have_one_form_however_numbered(space):
    rng = np.random.default_rng(5)
    network = space.unroll(space.sample(rng))
    assert fingerprint(relabelled(network, rng.permutation(len(network)).tolist())) == fingerprint(network)


def test_vertices_that_colours_alone_cannot_tell_apart():
    # One ring of eight and two rings of four: every vertex has two equal neighbours, yet no two rings are alike.
    rings = [(0, 8), (0, 9), (1, 9), (1, 10), (2, 10), (2, 11), (3, 11), (3, 8)]
    rings += [(4, 12), (4, 13), (5, 12), (5, 13), (6, 14), (6, 15), (7, 14), (7, 15)]
    network = Architecture((Op("Relu"),) * 16, tuple(rings))
    forms = {fingerprint(relabelled(network, np.random.default_rng(s).permutation(16).tolist())) for s in range(20)}
    assert len(forms) == 1
    ring = [(i, 8 + i) for i in range(8)] + [(i, 8 + (i + 1) % 8) for i in range(8)]
    assert fingerprint(Architecture(network.ops, tuple(ring))) not in forms


def test_regular_graphs_in_which_every_vertex_looks_alike():
    rng = np.random.default_rng(0)
    for _ in range(30):
        pairs = [(i, 10 + int(j)) for _ in range(3) for i, j in enumerate(rng.permutation(10))]
        network = Architecture((Op("Relu"),) * 20, tuple(pairs))
        assert fingerprint(relabelled(network, rng.permutation(20).tolist())) == fingerprint(network)


def test_a_chain_of_a_thousand_and_a_fan_of_a_hundred_branches():
    chain = Architecture((Op("Relu"),) * 1000, tuple((i, i + 1) for i in range(999)))
    assert canonical(chain) == chain
    inner = [(0, 1 + 2 * k) for k in range(60)] + [(1 + 2 * k, 2 + 2 * k) for k in range(60)]
    fan = Architecture((Op("Relu"),) * 122, tuple(inner + [(2 + 2 * k, 121) for k in range(60)]))
    order = np.random.default_rng(0).permutation(122).tolist()
    assert fingerprint(relabelled(fan, order)) == fingerprint(fan)


def test_what_passes_its_input_on_is_dropped():
    ops = tuple(map(Op, ("Input", "Identity", "Relu", "Dropout", "Identity")))
    chain = Architecture(ops, ((0, 1), (1, 2), (2, 3), (3, 4)))
    assert canonical(chain) == Architecture((Op("Input"), Op("Relu")), ((0, 1),))


def test_an_identity_that_marks_an_output_stays():
    marked = Architecture(tuple(map(Op, ("Input", "Relu", "Sigmoid", "Identity"))), ((0, 1), (1, 2), (1, 3)))
    plain = Architecture(marked.ops[:3], ((0, 1), (1, 2)))
    assert sorted(op.kind for op in canonical(marked).ops) == ["Identity", "Input", "Relu", "Sigmoid"]
    assert fingerprint(marked) != fingerprint(plain)


def test_names_aliases_and_stated_defaults_do_not_enter():
    defaults = {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1), "group": 1, "bias": 0}
    stated = Op.of("Conv", (1, 8, 8, 8), kernel_shape=(3, 3), **defaults)
    short = Op.of("Conv", (1, 8, 8, 8), kernel_shape=(3, 3))
    one = Architecture((Op.of("Input", (1, 3, 10, 10)), stated, Op.of("ReLU", (1, 8, 8, 8))), ((0, 1), (1, 2)), "one")
    two = Architecture((Op.of("Input", (1, 3, 10, 10)), short, Op.of("Relu", (1, 8, 8, 8))), ((0, 1), (1, 2)), "two")
    assert fingerprint(one) == fingerprint(two)
    flags = [Op.of("Gemm", (1, 2), bias=flag) for flag in (1, True)]
    assert len({fingerprint(Architecture((flag,), ())) for flag in flags}) == 1


def test_the_fingerprint_is_the_one_of_yesterday():
    cell = SPACES["nasbench101"].parse("conv3x3 conv1x1 | 01 02 13 23")
    assert fingerprint(cell) == "a3263b4a85b47101b8f92bc174214a456a3a77360231f69f197a84e9b2d3eee9"


def branches(count, length):
    """So many branches of alike operations between two vertices."""
    ops, edges = [Op("Relu")], []
    for _ in range(count):
        first = len(ops)
        ops += [Op(KINDS[k % 3]) for k in range(length)]
        edges += [(0, first), *((first + k, first + k + 1) for k in range(length - 1))]
    last = len(ops)
    edges += [(1 + length * k + length - 1, last) for k in range(count)]
    return Architecture((*ops, Op("Relu")), tuple(edges))


def test_long_identical_branches_take_no_search():
    import time

    network = branches(200, 3)
    start = time.process_time()
    form = canonical(network)
    assert time.process_time() - start < 1.0  # 4.7 s when every branch was tried
    order = np.random.default_rng(0).permutation(len(network)).tolist()
    assert canonical(relabelled(network, order)) == form


def test_alike_parts_that_are_wired_differently_inside():
    # Two ladders of two rungs each; in the second the rungs cross, so that only one of the two falls apart.
    def ladders(crossed):
        ops = (Op("Relu"), *(Op(kind) for kind in ("Sigmoid",) * 4 + ("Conv",) * 4), Op("Relu"))
        rungs = [(1, 5), (1, 6), (2, 5), (2, 6), (3, 7), (3, 8), (4, 7), (4, 8)]
        if crossed:
            rungs = [(1, 5), (1, 6), (2, 6), (2, 7), (3, 7), (3, 8), (4, 8), (4, 5)]
        return Architecture(ops, (*((0, k) for k in range(1, 5)), *rungs, *((k, 9) for k in range(5, 9))))

    assert fingerprint(ladders(False)) != fingerprint(ladders(True))
    for crossed in (False, True):
        orders = (np.random.default_rng(s).permutation(10).tolist() for s in range(20))
        assert len({fingerprint(relabelled(ladders(crossed), order)) for order in orders}) == 1
