"""Every NAS-Bench-101 cell, found with array code: unlabelled graphs first, then their operations.

Letters: M cells, N vertices, E pairs of vertices, L ways to name the operations, I interior vertices.
"""

from collections.abc import Iterable

import numpy as np

from narformer.cells.columns import PADDING, Cells
from narformer.cells.graph_keys import graph_keys
from narformer.spaces.nasbench101_cell import INTERIOR, MAX_EDGES, VOCABULARY


def with_vertices(sizes: Iterable[int]) -> Cells:
    """All cells with these numbers of vertices, one of each set of isomorphic cells, as columns."""
    sizes = list(sizes)
    parts = [_labelled(_graphs(n)) for n in sizes]
    kind_MN = np.full((sum(map(len, parts)), max(sizes)), PADDING, dtype=np.int8)
    adj_MNN = np.zeros((*kind_MN.shape, max(sizes)), dtype=np.uint8)
    ends = np.cumsum([len(part) for part in parts])
    for n, part, end in zip(sizes, parts, ends, strict=True):
        kind_MN[end - len(part) : end, :n] = part.kind_MN
        adj_MNN[end - len(part) : end, :n, :n] = part.adj_MNN
    return Cells(VOCABULARY, kind_MN, adj_MNN)


def _graphs(n: int) -> Cells:
    """The unlabelled graphs on n vertices, drawn with the first interior operation everywhere."""
    pairs = n * (n - 1) // 2
    bits_ME = (np.arange(2**pairs)[:, None] >> np.arange(pairs) & 1).astype(np.uint8)
    bits_ME = bits_ME[bits_ME.sum(axis=1) <= MAX_EDGES]
    adj_MNN = np.zeros((len(bits_ME), n, n), dtype=np.uint8)
    sources, targets = np.triu_indices(n, 1)
    adj_MNN[:, sources, targets] = bits_ME
    # Edges point forward, so a vertex with a parent and a child is on a path from input to output.
    has_parent_MN, has_child_MN = adj_MNN[:, :, 1:].any(axis=1), adj_MNN[:, :-1, :].any(axis=2)
    whole_M = np.logical_and(has_parent_MN, has_child_MN).all(axis=1)
    kinds = [0] + [1] * (n - 2) + [VOCABULARY.index("output")]
    adj_MNN = adj_MNN[whole_M]
    return _unique(Cells(VOCABULARY, np.tile(np.array(kinds, dtype=np.int8), (len(adj_MNN), 1)), adj_MNN))


def _labelled(graphs: Cells) -> Cells:
    n = graphs.kind_MN.shape[1]
    interior_LI = np.indices((len(INTERIOR),) * (n - 2), dtype=np.int8).reshape(n - 2, len(INTERIOR) ** (n - 2)).T + 1
    kind_MN = np.repeat(graphs.kind_MN, len(interior_LI), axis=0)
    kind_MN[:, 1:-1] = np.tile(interior_LI, (len(graphs), 1))
    return _unique(Cells(VOCABULARY, kind_MN, np.repeat(graphs.adj_MNN, len(interior_LI), axis=0)))


def _unique(cells: Cells) -> Cells:
    _, first = np.unique(graph_keys(cells), return_index=True)
    return cells.take(np.sort(first))
