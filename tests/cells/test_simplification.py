"""Contraction of identities: paths are counted, within what a column of counts can hold."""

from narformer.cells.columns import MOST_EDGES, Cells
from narformer.cells.simplification import simplified
from narformer.network import Architecture, Op


def test_paths_beyond_what_a_column_holds_are_counted_as_255():
    """Nine stages of two identities each: 512 ways from the operation before them to the one behind."""
    vocabulary = ("input", "skip", "conv", "output")
    edges, last = [(0, 1)], 1
    ops = [Op("input"), Op("conv")]
    for _ in range(9):
        left, right, joint = len(ops), len(ops) + 1, len(ops) + 2
        ops += [Op("skip")] * 3
        edges += [(last, left), (last, right), (left, joint), (right, joint)]
        last = joint
    ops.append(Op("output"))
    edges.append((last, len(ops) - 1))
    cells = simplified(Cells.of([Architecture(tuple(ops), tuple(edges))], vocabulary), (), ("skip",))
    assert cells.count_M.tolist() == [3]
    assert cells.adj_MNN[0, 1, 2] == MOST_EDGES
