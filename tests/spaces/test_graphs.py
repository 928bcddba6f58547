"""Graphs of one's own: what is written is read back, in any order of the vertices, and what is no graph is refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narformer.cells.columns import Cells
from narformer.errors import BadArchitecture
from narformer.network.canonical import fingerprint
from narformer.network.graph import Architecture, Op
from narformer.spaces import SPACES, Graphs, space_called
from narformer.spaces.graphs import LONGEST_TEXT, read_graph, vocabulary_of

KINDS = ("a", "b 2", "ü|,\"'", "{}")
SPACE = Graphs(KINDS)


@st.composite
def graphs(draw):
    """Any directed acyclic graph of up to eight vertices, double edges and loose vertices among them."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=8))
    pairs = [(i, j) for j in range(len(kinds)) for i in range(j)]
    counts = draw(st.lists(st.integers(0, 2), min_size=len(pairs), max_size=len(pairs)))
    edges = tuple(pair for pair, count in zip(pairs, counts, strict=True) for _ in range(count))
    return Architecture(tuple(map(Op, kinds)), edges)


@given(graphs())
def test_text_and_back(graph):
    assert SPACE.parse(SPACE.format(graph)) == graph
    assert "\n" not in SPACE.format(graph)


@given(graphs(), st.randoms(use_true_random=False))
def test_the_order_of_the_vertices_does_not_matter(graph, chance):
    place = list(range(len(graph)))
    chance.shuffle(place)
    ops = [graph.ops[place.index(v)].kind for v in range(len(graph))]
    edges = [[place[i], place[j]] for i, j in graph.edges]
    adjacency = np.zeros((len(ops), len(ops)), dtype=int)
    for i, j in edges:
        adjacency[i, j] += 1
    from_edges = SPACE.parse(json.dumps({"ops": ops, "edges": edges}))
    assert fingerprint(from_edges) == fingerprint(graph)
    assert SPACE.parse(json.dumps({"adjacency": adjacency.tolist(), "ops": ops})) == from_edges


@given(st.lists(graphs(), min_size=1, max_size=5))
def test_columns_hold_the_same_graphs(many):
    assert list(Cells.of(many, SPACE.vocabulary)) == many


def test_the_vocabulary_is_that_of_the_data_sorted():
    graphs = [read_graph({"ops": ops, "edges": []}) for ops in (["z", "a"], ["a", "m"])]
    assert vocabulary_of(graphs) == vocabulary_of(graphs[::-1]) == ("a", "m", "z")
    with pytest.raises(BadArchitecture, match="128 different operations"):
        vocabulary_of([read_graph({"ops": [f"op{i}" for i in range(128)], "edges": []})])


def test_spaces_are_found_by_name():
    assert space_called("graphs", KINDS) == SPACE
    assert space_called("darts", ()) is SPACES["darts"]


DEEP = "[" * 100_000
HALF_DEEP = '{"ops": ["a"], "edges": ' + "[" * 700 + "]" * 700 + "}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("a | 01", "not JSON"),
        ("[]", "a JSON list"),
        ("{}", r"keys \[\]"),
        ('"a"', "a JSON str"),
        ('{"ops": ["a"]}', "keys"),
        ('{"ops": ["a"], "edges": [], "adjacency": [[0]]}', "keys"),
        ('{"ops": [], "edges": []}', "0 operations"),
        ('{"ops": "a", "edges": []}', "operations 'a'"),
        (json.dumps({"ops": ["a"] * 129, "edges": []}), "129 operations"),
        ('{"ops": [1], "edges": []}', "the operation 1"),
        ('{"ops": [""], "edges": []}', "the operation ''"),
        ('{"ops": ["a\\n"], "edges": []}', "the operation"),
        ('{"ops": ["\\ud800"], "edges": []}', "the operation"),
        ('{"ops": ["aa"], "edges": []}', "no operation is called 'aa'. Did you mean 'a'"),
        ('{"ops": ["a", "a"], "edges": {}}', "expected a list of pairs"),
        ('{"ops": ["a", "a"], "edges": [[0]]}', r"the edge \[0\]"),
        ('{"ops": ["a", "a"], "edges": [[0, true]]}', "two vertices"),
        ('{"ops": ["a", "a"], "edges": [[0, 1.0]]}', "two vertices"),
        ('{"ops": ["a", "a"], "edges": [[0, 2]]}', "edge 0->2 leaves the graph of 2 vertices"),
        ('{"ops": ["a", "a"], "edges": [[-1, 1]]}', "leaves the graph"),
        ('{"ops": ["a", "a"], "edges": [[0, 1], [1, 0]]}', "cycle: 0 -> 1 -> 0"),
        ('{"ops": ["a"], "edges": [[0, 0]]}', "cycle: 0 -> 0"),
        (json.dumps({"ops": ["a", "a"], "edges": [[0, 1]] * 256}), "256 times"),
        ('{"ops": ["a", "a"], "adjacency": [[0, 1]]}', "2 rows of 2"),
        ('{"ops": ["a", "a"], "adjacency": [[0, 1], [0]]}', "2 rows of 2"),
        ('{"ops": ["a", "a"], "adjacency": [[0, 0.5], [0, 0]]}', "found 0.5"),
        ('{"ops": ["a", "a"], "adjacency": [[0, 256], [0, 0]]}', "found 256"),
        ('{"ops": ["a", "a"], "adjacency": [[0, 1], [1, 0]]}', "cycle"),
        ('{"ops": ["a"], "edges": [[0, ' + "9" * 5000 + "]]}", "not JSON"),
        (DEEP[:LONGEST_TEXT], "not JSON"),
        (DEEP + " ", "100,001 characters"),
        (HALF_DEEP, "found the edge"),
    ],
    ids=lambda text: text[:40],
)
def test_what_is_no_graph_is_refused_in_one_line(text, said):
    with pytest.raises(BadArchitecture, match=said) as caught:
        SPACE.parse(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_nesting_at_the_edge_of_the_recursion_limit_is_no_crash():
    for depth in range(800, 1000, 3):
        with pytest.raises(BadArchitecture):
            SPACE.parse('{"ops": ["a"], "edges": ' + "[" * depth + "]" * depth + "}")


def test_nobody_knows_how_to_draw_list_or_unroll_them():
    graph = SPACE.parse('{"ops": ["a"], "edges": []}')
    for ask in (lambda: SPACE.sample(np.random.default_rng(0)), lambda: SPACE.neighbours(graph), SPACE.enumerate):
        with pytest.raises(BadArchitecture, match="your own"):
            ask()
    with pytest.raises(BadArchitecture, match="your own"):
        SPACE.unroll(graph)
