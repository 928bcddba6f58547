"""Laws that every space of the table obeys."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narformer.cells.columns import Cells
from narformer.cells.graph_keys import graph_keys
from narformer.errors import BadArchitecture
from narformer.network import Architecture, cost
from narformer.spaces import SPACES, Graphs, recognised
from narformer.spaces.nasbench201 import function_classes


@pytest.fixture(params=SPACES)
def space(request):
    return SPACES[request.param]


def test_the_table_knows_each_space_by_its_name(space):
    assert SPACES[space.name] is space


def test_text_and_back(space):
    rng = np.random.default_rng(0)
    for _ in range(100):
        cell = space.sample(rng)
        assert space.parse(space.format(cell)) == cell


def test_the_generator_decides_the_sample(space):
    assert space.sample(np.random.default_rng(3)) == space.sample(np.random.default_rng(3))
    assert len({space.format(space.sample(np.random.default_rng(s))) for s in range(20)}) > 15


def test_neighbours_are_cells_in_fixed_order_none_twice_and_never_the_cell_itself(space):
    rng = np.random.default_rng(1)
    for _ in range(10):
        cell = space.sample(rng)
        texts = [space.format(n) for n in space.neighbours(cell)]
        assert texts == [space.format(n) for n in space.neighbours(cell)]
        assert len(set(texts)) == len(texts) > 0
        assert space.format(cell) not in texts


def test_samples_fit_the_vocabulary(space):
    rng = np.random.default_rng(2)
    cells = [space.sample(rng) for _ in range(20)]
    assert list(Cells.of(cells, space.vocabulary)) == cells


def test_the_whole_network_can_be_counted_to_the_last_operation(space):
    counted = cost(space.unroll(space.sample(np.random.default_rng(4))))
    assert counted.unknown == {}
    assert counted.macs > 0


def forms(space, cell):
    """The texts by which a cell is read: the space's own, with blanks around it, and others that it accepts."""
    text = space.format(cell)
    yield text
    yield f"  {text}\n"
    if space.name == "nasbench101":
        adjacency = Cells.of([cell], space.vocabulary).adj_MNN[0].tolist()
        yield json.dumps({"adjacency": adjacency, "ops": [op.kind for op in cell.ops]}, indent=1)
    if space.name == "darts":
        yield text.removeprefix("Genotype(").removesuffix(")")
        yield text.replace("=", " = ").replace("[2, 3, 4, 5]", "range(2, 6)")


def test_what_is_parsed_is_recognised_by_its_space_and_by_no_other_of_cells(space):
    rng = np.random.default_rng(5)
    for _ in range(100):
        cell = space.sample(rng)
        for text in forms(space, cell):
            assert space.parse(text) == cell
            assert space.name in recognised(text)
            assert {space.name, "graphs"} >= set(recognised(text))


BROKEN = {
    "nasbench101": [
        ("conv3x4 | 01 12", "no operation is called 'conv3x4'"),
        ("| 1-2", "expected two digits"),
        ('{"adjacency": [[0, 1]], "ops": ["input", "output"]}', "expected a square matrix"),
        ('{"adjacency": [[0, 1', 'not a JSON object {"adjacency"'),
    ],
    "nasbench201": [
        ("|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_conn", "expected the form '|nor_conv_3x3~0|+|"),
        ("|nor_conv_4x4~0|", "no operation is called 'nor_conv_4x4'"),
    ],
    "darts": [
        ("Genotype(", "found no list of pairs called 'normal'"),
        ("Genotype(normal=[('none', 0)], reduce=[])", "expected 8, two for each node"),
        ("normal = [('none', 0)]", "expected 8, two for each node"),
    ],
    "ofa-mobilenetv3": [
        ("k5e4 k7e3 | k3e4 k3e6 | k5e4 k5e3", "expected 5 stages"),
        ("k5e5 | k3e3 | k3e3", "found the block 'k5e5'"),
    ],
    "graphs": [
        ('{"ops": ["a"], "edges": [[0, 0', "not JSON"),
        ('[{"ops": ["a"], "edges": []}]', "a JSON list"),
        ('{"ops": ["b"], "edges": []}', "no operation is called 'b'"),
    ],
}


@pytest.mark.parametrize(("name", "text", "said"), [(name, *one) for name, some in BROKEN.items() for one in some])
def test_a_broken_text_is_recognised_and_refused_in_the_terms_of_its_space(name, text, said):
    space = SPACES.get(name, Graphs(("a",)))
    assert name in recognised(text)
    with pytest.raises(BadArchitecture, match=re.escape(said)):
        space.parse(text)


def test_every_space_has_broken_texts():
    assert set(BROKEN) == {*SPACES, "graphs"}


@given(st.text(alphabet='|~+{}[]"=( 0ab', max_size=12), st.sampled_from(["", "Genotype("]))
def test_every_text_with_a_bar_or_a_brace_is_of_some_space_and_no_other(rest, first):
    assert bool(recognised(first + rest)) == ("|" in rest or "{" in rest or bool(first))


@pytest.mark.parametrize(
    "text", ["", "-", "cells.txt", "models/resnet.onnx", "resnet/0", "nasbench201", "C:\\cells.csv", "~/a"]
)
def test_paths_and_names_are_no_cells(text):
    assert recognised(text) == ()


def test_operations_without_effect_are_of_the_vocabulary(space):
    assert {*space.absent, *space.identities} <= set(space.vocabulary)
    assert not {*space.absent} & {*space.identities}


def test_operations_without_effect_are_those_of_nasbench201():
    known = {name: (space.absent, space.identities) for name, space in SPACES.items()}
    assert known.pop("nasbench201") == (("none",), ("skip_connect",))
    assert {*known.values(), (Graphs(()).absent, Graphs(()).identities)} == {((), ())}


def reordered(cell, rng):
    """The same graph with its interior vertices in another topological order."""
    last = len(cell) - 1
    place = np.r_[0, 1 + rng.permutation(last - 1), last]
    ops = [cell.ops[v] for v in np.argsort(place)]
    return Architecture.sorted(ops, [(int(place[i]), int(place[j])) for i, j in cell.edges])


@pytest.mark.parametrize("name", [name for name in SPACES if name != "nasbench201"])  # which has one wiring
def test_cells_are_the_same_in_any_order_of_their_vertices(name):
    rng, space = np.random.default_rng(6), SPACES[name]
    cells = [space.sample(rng) for _ in range(30)]
    keys = space.same(Cells.of([*cells, *(reordered(cell, rng) for cell in cells)], space.vocabulary))
    assert np.array_equal(keys[:30], keys[30:])
    assert len(np.unique(keys)) == len({space.format(cell) for cell in cells})


def test_cells_are_the_same_where_their_graphs_are_or_in_nasbench201_their_functions(space):
    rng = np.random.default_rng(7)
    cells = Cells.of([space.sample(rng) for _ in range(50)], space.vocabulary)
    expected = function_classes if space.name == "nasbench201" else graph_keys
    assert np.array_equal(space.same(cells), expected(cells))
    assert np.array_equal(Graphs(space.vocabulary).same(cells), graph_keys(cells))
