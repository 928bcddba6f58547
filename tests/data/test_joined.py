"""Two data sets of the same cells are one: every label stands beside its cell, wherever that stands in either set."""

from dataclasses import replace

import numpy as np
import pytest

from narformer.attributes import Attribute
from narformer.data.dataset import Dataset
from narformer.data.joined import joined
from narformer.errors import BadRecipe
from narformer.spaces import SPACES

CELLS = SPACES["nasbench201"].enumerate()


def some(name, rows, label, space="nasbench201"):
    values = np.asarray(rows, dtype=float)
    attributes = {label: Attribute.of(label, "ms")}
    return Dataset(name, space, CELLS.take(np.array(rows)), {label: values}, attributes, (label,), (label,))


def test_every_label_stands_beside_its_cell():
    both = joined(some("a", [5, 1, 9], "x"), some("b", [9, 7, 5], "y"))
    assert both.name == "a+b"
    assert [SPACES["nasbench201"].format(cell) for cell in both.architectures] == [
        SPACES["nasbench201"].format(CELLS[row]) for row in (5, 1, 9, 7)
    ]
    np.testing.assert_array_equal(both.columns(["x", "y"]), [[5, 5], [1, np.nan], [9, 9], [np.nan, 7]])
    assert (both.train_labels, both.test_labels) == (("x",), ("x",))
    assert set(both.attributes) == {"x", "y"}


def test_cells_of_unlike_padding_are_the_same():
    graphs = SPACES["nasbench101"]
    small, large = (graphs.parse(text) for text in ("| 01", "conv3x3 conv1x1 | 01 12 23"))
    from narformer.cells import Cells

    one = replace(some("a", [0], "x"), architectures=Cells.of([small], graphs.vocabulary))
    other = replace(some("b", [0, 1], "y"), architectures=Cells.of([large, small], graphs.vocabulary))
    np.testing.assert_array_equal(joined(one, other).columns(["x", "y"]), [[0, 1], [np.nan, 0]])


def test_labels_of_one_name_and_other_operations_are_refused():
    with pytest.raises(BadRecipe, match="the label 'x' in both sets"):
        joined(some("a", [1], "x"), some("b", [1], "x"))
    other = replace(some("b", [1], "y"), architectures=SPACES["darts"].parse)
    with pytest.raises(BadRecipe, match="different operations"):
        joined(some("a", [1], "x"), other)


@pytest.mark.data
def test_names_are_joined_by_a_plus(data_folder, monkeypatch):
    from narformer.data import load

    monkeypatch.setenv("NARFORMER_DATA", str(data_folder))
    both, latency = load("nasbench201+nasbench201-latency"), load("nasbench201-latency")
    assert len(both) == 15_625
    label = latency.train_labels[0]
    parse = SPACES["nasbench201"].format
    own = dict(zip(map(parse, latency.architectures), latency.labels[label], strict=True))
    rows = np.random.default_rng(0).choice(len(both), 200, replace=False)
    assert all(both.labels[label][row] == own[parse(both.architectures[int(row)])] for row in rows)
