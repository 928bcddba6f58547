import numpy as np
import pytest

from narformer.cells.columns import PADDING, Cells
from narformer.network.canonical import fingerprint
from narformer.spaces.nasbench101 import VOCABULARY, NasBench101
from narformer.spaces.nasbench201 import NasBench201
from narformer.training.augmentation import twins

RULES = ("swap", "first", "all", "unrestricted")


@pytest.fixture(scope="module")
def cells():
    """Cells with several branches, and one that has nothing to reorder."""
    space = NasBench101()
    texts = (
        "conv3x3 conv1x1 | 01 02 13 23",
        "maxpool3x3 conv1x1 conv3x3 | 01 02 03 14 24 34",
        "conv3x3 conv3x3 conv3x3 maxpool3x3 conv1x1 | 01 02 03 14 25 36 46 56",
        "conv1x1 conv3x3 maxpool3x3 | 01 12 23 34",
        "| 01",
    )
    return Cells.of([space.parse(text) for text in texts], VOCABULARY)


def as_set(found, row):
    rows = slice(found.first_M[row], found.first_M[row] + found.count_M[row])
    pairs = zip(found.cells.kind_MN[rows], found.cells.adj_MNN[rows], strict=True)
    return {(kinds.tobytes(), adj.tobytes()) for kinds, adj in pairs}


def test_the_swap_twins_every_nasbench201_cell_exactly_once():
    """Vertices 5 and 6 can always change places."""
    cells = NasBench201().enumerate().take(np.arange(0, 15625, 50))
    for rule in ("swap", "first"):
        assert (twins(cells, rule).count_M == 1).all()


def test_by_hand(cells):
    assert twins(cells, "all").count_M.tolist()[:2] == [1, 5]
    assert twins(cells, "all").count_M.tolist()[3:] == [0, 0]
    assert twins(cells, "swap").count_M.tolist()[:2] == [1, 1]


def test_rules_hold_each_other(cells):
    found = {rule: twins(cells, rule) for rule in RULES}
    for row in range(len(cells)):
        sets = [as_set(found[rule], row) for rule in RULES]
        assert sets[0] <= sets[2] <= sets[3]
        assert sets[1] <= sets[2]
        assert len(sets[0]) <= 1
        assert len(sets[1]) == min(1, len(sets[2]))


def test_a_twin_computes_the_same_function(cells):
    found = twins(cells, "all")
    for row, cell in enumerate(cells):
        for twin in range(found.first_M[row], found.first_M[row] + found.count_M[row]):
            assert fingerprint(found.cells[twin]) == fingerprint(cell)
            assert found.cells[twin] != cell
            assert [op.kind for op in found.cells[twin].ops][:: len(cell) - 1] == ["input", "output"]


def test_unrestricted_twins_keep_operations_and_edges(cells):
    found = twins(cells, "unrestricted")
    owner = np.repeat(np.arange(len(cells)), found.count_M)
    np.testing.assert_array_equal(np.sort(found.cells.kind_MN, 1), np.sort(cells.kind_MN[owner], 1))
    np.testing.assert_array_equal(found.cells.adj_MNN.sum((1, 2)), cells.adj_MNN[owner].sum((1, 2)))
    assert np.tril(found.cells.adj_MNN.astype(int)).any()  # information may flow backwards


def test_drawing_takes_a_twin_or_the_cell_itself(cells):
    found = twins(cells, "all")
    before = cells.kind_MN.copy()
    drawn = {row: set() for row in range(len(cells))}
    for seed in range(100):
        some = found.draw(cells, np.random.default_rng(seed))
        for row in range(len(cells)):
            drawn[row].add((some.kind_MN[row].tobytes(), some.adj_MNN[row].tobytes()))
    for row in range(len(cells)):
        itself = {(cells.kind_MN[row].tobytes(), cells.adj_MNN[row].tobytes())}
        assert drawn[row] <= as_set(found, row) or drawn[row] == itself
    assert drawn[1] == as_set(found, 1)  # all five are drawn
    np.testing.assert_array_equal(cells.kind_MN, before)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "text",
    ["| 01", "maxpool3x3 | 01 12", "conv1x1 conv3x3 maxpool3x3 | 01 12 23 34", "conv1x1 conv1x1 | 01 02 13 23"],
)
def test_cells_without_twins(rule, text):
    """Too small, a chain, or two equal branches: no reordering differs."""
    cells = Cells.of([NasBench101().parse(text)], VOCABULARY)
    found = twins(cells, rule)
    chain = text.startswith("conv1x1 conv3x3")
    assert found.count_M.tolist() == [5 if chain and rule == "unrestricted" else 0]
    assert (found.draw(cells, np.random.default_rng(0)).kind_MN != PADDING).all()


@pytest.mark.data
def test_the_papers_count_of_twins(data_folder, monkeypatch):
    """NAR-Former, Table 5: 4,236 cells and 2,421 consistent twins."""
    from narformer.data import load

    monkeypatch.setenv("NARFORMER_DATA", str(data_folder))
    cells = load("nasbench101").architectures.take(slice(0, 4236))
    assert twins(cells, "first").count_M.sum() == 2421
