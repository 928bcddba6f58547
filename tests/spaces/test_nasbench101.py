"""NAS-Bench-101: reading, writing, hashing, enumerating and unrolling agree with the published benchmark."""

import json
import time

import numpy as np
import pytest

from narformer.cells import Cells
from narformer.cells.graph_keys import graph_keys
from narformer.errors import BadArchitecture
from narformer.network import Architecture, Op, cost
from narformer.spaces.nasbench101 import NasBench101, from_strings, module_hash, prune, with_vertices
from narformer.spaces.nasbench101_network import vertex_channels

SPACE = NasBench101()


@pytest.fixture(scope="session")
def table(data_folder):
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = parquet.read_table(
        data_folder / "nasbench101_full.parquet", columns=["n_vertices", "adj", "ops", "hash", "params"]
    )
    return {name: columns[name].to_numpy() for name in columns.column_names}


@pytest.fixture(scope="session")
def cells(table):
    return from_strings(table["n_vertices"], table["adj"], table["ops"])


def test_a_cell_is_read():
    cell = SPACE.parse("conv3x3-bn-relu conv1x1 | 01 02 13 23")
    assert [op.kind for op in cell.ops] == ["input", "conv3x3-bn-relu", "conv1x1-bn-relu", "output"]
    assert cell.edges == ((0, 1), (0, 2), (1, 3), (2, 3))
    assert SPACE.format(cell) == "conv3x3-bn-relu conv1x1-bn-relu | 01 02 13 23"


def test_json_is_read_in_any_order_of_the_vertices():
    ops = ["input", "conv1x1-bn-relu", "conv3x3-bn-relu", "output"]
    adjacency = [[0, 0, 1, 0], [0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert SPACE.parse(json.dumps({"adjacency": adjacency, "ops": ops})) == SPACE.parse("conv3x3 conv1x1 | 01 12 23")


def test_vertices_off_the_path_are_pruned_as_the_benchmark_does():
    assert SPACE.parse("conv3x3 conv1x1 maxpool3x3 | 01 14 02 34") == SPACE.parse("conv3x3 | 01 12")
    loose = Architecture(tuple(map(Op, ("input", "conv3x3-bn-relu", "output"))), ((0, 1), (0, 2)))
    assert prune(loose) == SPACE.parse("| 01")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("conv3x4 | 01 12", "no operation is called 'conv3x4'. Did you mean 'conv3x3'"),
        ("conv3x3 conv1x1 | 01 12 21 23", "1 -> 2 -> 1"),
        ("conv3x3 | 01", "no path leads from the input"),
        ("conv3x3 | 01 12 12", "occurs 2 times"),
        ("conv3x3 01 12", "one bar"),
        ("conv3x3 | 01 1-2", "two digits"),
        ("conv3x3 | 01 15", "edge 1->5 leaves the graph"),
        ("conv3x3 conv3x3 conv3x3 conv3x3 conv3x3 conv3x3 | 01 12 23 34 45 56 67", "8 vertices"),
        ("conv3x3 conv3x3 conv3x3 conv3x3 | 01 02 03 04 05 12 23 34 45 15", "10 edges"),
        ('{"adjacency": [[0, 1], [0, 0]]}', "KeyError('ops')"),
        ('{"adjacency": [[0, 1]], "ops": ["input", "output"]}', "shape (1, 2) for 2 operations"),
        ('{"adjacency": [[0, 1], [0]], "ops": ["input", "output"]}', "not a JSON object"),
        ('{"adjacency": [[0, 1], [0, 0]], "ops": ["output", "input"]}', "expected 'input' to 'output'"),
    ],
)
def test_a_bad_cell_is_one_helpful_line(text, words):
    with pytest.raises(BadArchitecture) as caught:
        SPACE.parse(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 20_000,
        "x" * 9_000 + " | 01",
        "a" * 9_000,
        "| " + "1" * 9_000,
        json.dumps({"adjacency": [[0, 1], [0, 0]], "ops": ["y" * 9_000, "output"]}),
        json.dumps({"adjacency": [[0] * 3] * 3, "ops": ["input", "y" * 9_000, "output"]}),
        '{"adjacency": ' + " " * 10_000 + "}",
    ],
    ids=range(7),
)
def test_a_long_text_is_refused_at_once_and_not_repeated(text):
    start = time.perf_counter()
    with pytest.raises(BadArchitecture) as caught:
        SPACE.parse(text)
    assert time.perf_counter() - start < 0.1
    assert len(str(caught.value)) < 300


def test_a_network_that_is_no_cell_is_not_written():
    with pytest.raises(BadArchitecture, match="no operation is called 'Relu'"):
        SPACE.format(Architecture((Op("input"), Op("Relu"), Op("output")), ((0, 1), (1, 2))))


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ((9, "1", ""), "number of vertices"),
        ((2, "11", ""), "not v"),
        ((2, "x", ""), "other than 0 and 1"),
        ((3, "101", "3"), "other than 0, 1 and 2"),
        ((3, "101", ""), "one operation per interior vertex"),
    ],
)
def test_a_bad_row_is_named(column, words):
    good = (2, "1", "")
    with pytest.raises(BadArchitecture, match="row 1 has") as caught:
        from_strings(*zip(good, column, strict=True))
    assert words in str(caught.value)


def test_neighbours_of_the_smallest_cell():
    texts = [SPACE.format(n) for n in SPACE.neighbours(SPACE.parse("| 01"))]
    assert texts == [f"{name} | 01 02 12" for name in ("conv1x1-bn-relu", "conv3x3-bn-relu", "maxpool3x3")]


def test_no_two_neighbours_are_isomorphic():
    cell = SPACE.sample(np.random.default_rng(8))
    family = Cells.of([cell, *SPACE.neighbours(cell)], SPACE.vocabulary)
    assert len(set(module_hash(family))) == len(family)


def test_up_to_five_vertices_there_are_2532_cells():
    small = with_vertices(range(2, 6))
    assert len(small) == len(set(module_hash(small))) == 2532


def test_channels_of_a_concatenation_share_the_remainder():
    cell = SPACE.parse("conv3x3 conv3x3 conv3x3 | 01 02 03 14 24 34")
    assert vertex_channels(cell, 128, 128) == [128, 43, 43, 42, 128]


@pytest.mark.data
def test_the_columns_are_the_cells(table, cells):
    assert len(cells) == 423_624
    assert cells.adj_MNN.sum(axis=(1, 2)).max() == 9
    first = cells[0]
    assert SPACE.parse(SPACE.format(first)) == first
    assert Cells.of([first], SPACE.vocabulary).adj_MNN.tolist() == cells[:1].adj_MNN.tolist()


@pytest.mark.data
def test_the_module_hash_is_the_official_one(table, cells):
    rows = np.random.default_rng(0).integers(0, len(cells), 300)
    assert module_hash(cells.take(rows)) == table["hash"][rows].tolist()


@pytest.mark.data
def test_the_whole_network_has_the_published_number_of_parameters(table, cells):
    rows = np.random.default_rng(1).integers(0, len(cells), 200)
    assert [cost(SPACE.unroll(cell)).params for cell in cells.take(rows)] == table["params"][rows].tolist()


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_all_hashes_are_the_official_ones_and_enumeration_finds_all(table, cells):
    hashes = table["hash"].tolist()
    assert module_hash(cells) == hashes
    found = SPACE.enumerate()
    keys = np.sort(graph_keys(found))
    assert (np.diff(keys) > 0).all()
    assert np.array_equal(keys, np.sort(graph_keys(cells)))
    some = found.take(np.random.default_rng(3).integers(0, len(found), 5000))
    assert set(module_hash(some)) <= set(hashes)


@pytest.mark.data
@pytest.mark.slow
def test_parameters_of_ten_thousand_networks(table, cells):
    rows = np.random.default_rng(2).integers(0, len(cells), 10_000)
    assert [cost(SPACE.unroll(cell)).params for cell in cells.take(rows)] == table["params"][rows].tolist()
