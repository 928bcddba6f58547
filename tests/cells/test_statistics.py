"""Statistics of structure against sums over the paths themselves."""

import numpy as np
import pytest

from narformer.cells.columns import Cells
from narformer.cells.simplification import simplified
from narformer.cells.statistics import statistics, structure
from narformer.spaces.nasbench101 import VOCABULARY, NasBench101
from narformer.spaces.nasbench201 import NasBench201
from narformer.training.augmentation import twins


@pytest.fixture(scope="module")
def cells():
    space, rng = NasBench101(), np.random.default_rng(0)
    return Cells.of([space.sample(rng) for _ in range(40)], VOCABULARY)


def test_the_names_are_those_of_the_columns(cells):
    assert structure(cells).shape == (len(cells), len(statistics(cells.vocabulary)))


def test_every_statistic_is_one_over_the_paths(cells, paths):
    table = dict(zip(statistics(cells.vocabulary), structure(cells).T, strict=True))
    for row, cell in enumerate(cells):
        every = paths(cell)
        for kind in cells.vocabulary:
            counts = [sum(cell.ops[v].kind == kind for v in path) for path in every]
            assert table[f"most {kind} on a path"][row] == max(counts)
            assert table[f"least {kind} on a path"][row] == min(counts)
            assert table[f"count of {kind}"][row] == sum(op.kind == kind for op in cell.ops)
        assert table["longest path"][row] == max(map(len, every))
        assert table["shortest path"][row] == min(map(len, every))
        assert table["log of paths"][row] == pytest.approx(np.log1p(len(every)))
        assert table["edges"][row] == len(cell.edges)
        into = [sum(target == v for _, target in cell.edges) for v in range(len(cell.ops))]
        assert (table["edges of the last vertex"][row], table["most edges into a vertex"][row]) == (into[-1], max(into))
        assert table["edges of the first vertex"][row] == sum(source == 0 for source, _ in cell.edges)


def test_the_order_of_vertices_changes_nothing(cells):
    found = twins(cells, "all")
    owners = cells.take(np.repeat(np.arange(len(cells)), found.count_M))
    np.testing.assert_allclose(structure(owners), structure(found.cells), atol=1e-12)


def test_a_cell_without_a_path_has_none():
    cell = NasBench201().parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    cells = simplified(Cells.of([cell], NasBench201().vocabulary), ("none",), ("skip_connect",))
    table = dict(zip(statistics(cells.vocabulary), structure(cells)[0], strict=True))
    assert (table["vertices"], table["edges"], table["longest path"], table["log of paths"]) == (2, 0, 0, 0)


def test_a_value_added_twice_counts_as_two_paths():
    text = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|none~0|none~1|nor_conv_3x3~2|"
    cells = simplified(Cells.of([NasBench201().parse(text)], NasBench201().vocabulary), ("none",), ("skip_connect",))
    table = dict(zip(statistics(cells.vocabulary), structure(cells)[0], strict=True))
    assert table["log of paths"] == pytest.approx(np.log1p(2))


def test_padding_changes_nothing():
    space = NasBench101()
    small, large = space.parse("conv3x3 | 01 12"), space.parse("conv3x3 conv1x1 conv3x3 | 01 12 23 34")
    alone, together = Cells.of([small], VOCABULARY), Cells.of([small, large], VOCABULARY)
    np.testing.assert_array_equal(structure(alone)[0], structure(together)[0])
