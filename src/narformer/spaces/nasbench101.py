"""NAS-Bench-101: cells of at most seven vertices and nine edges, operations on the vertices.

Ying et al. 2019, "NAS-Bench-101: Towards Reproducible Neural Architecture Search". Text of a cell: the interior
operations in order, a bar, the edges as pairs of digits, where 0 is the input and the last vertex the output:
``conv3x3-bn-relu conv1x1-bn-relu | 01 02 13 23``. JSON with ``adjacency`` and ``ops`` is read as well.

Letters: M cells, N vertices.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from narformer.cells.columns import PADDING, Cells
from narformer.cells.graph_keys import graph_keys
from narformer.errors import BadArchitecture
from narformer.network.graph import Architecture, topological_order
from narformer.spaces.nasbench101_cell import (
    INTERIOR,
    MAX_EDGES,
    MAX_VERTICES,
    VOCABULARY,
    check,
    check_size,
    fits,
    prune,
    pruned,
    reached,
)
from narformer.spaces.nasbench101_enumeration import with_vertices
from narformer.spaces.nasbench101_hash import module_hash
from narformer.spaces.nasbench101_network import network
from narformer.spaces.nasbench101_text import is_object, looks_like_cell, read_json, read_text

__all__ = [
    "MAX_EDGES",
    "MAX_VERTICES",
    "VOCABULARY",
    "NasBench101",
    "from_strings",
    "module_hash",
    "prune",
    "with_vertices",
]


# The benchmark's own order of the interior operations, as our vocabulary index.
_FROM_OFFICIAL = np.array([2, 1, 3], dtype=np.int8)


@dataclass(frozen=True)
class NasBench101:
    """The space of 423,624 cells; see Space."""

    name: str = "nasbench101"
    vocabulary: tuple[str, ...] = VOCABULARY
    absent: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()

    def sample(self, rng: np.random.Generator) -> Architecture:
        """A random cell as the benchmark's example draws it: edges with probability 1/2, operations uniformly.

        Cells are drawn on seven vertices, pruned, and drawn again where they are disconnected or have too many edges.
        """
        interior = MAX_VERTICES - 2
        while True:
            sources, targets = np.nonzero(np.triu(rng.integers(0, 2, (MAX_VERTICES, MAX_VERTICES)), 1))
            names = [INTERIOR[i] for i in rng.integers(0, len(INTERIOR), interior)]
            edges = list(zip(sources.tolist(), targets.tolist(), strict=True))
            cell = pruned(["input", *names, "output"], edges)
            if cell is not None and fits(cell):
                return cell

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """The cells one edit away: an operation changed, an edge removed or added, a vertex put in on a new path.

        Removing an edge prunes the vertices that it leaves disconnected. The cells are not isomorphic to each other or
        to the cell itself. Raises BadArchitecture where ``architecture`` is not in this space.
        """
        check(architecture)
        names, edges = [op.kind for op in architecture.ops], list(architecture.edges)
        last = len(names) - 1
        pairs = [(i, j) for i in range(last) for j in range(1, last + 1) if i not in reached(j, edges)]
        edits = [([*names[:v], o, *names[v + 1 :]], edges) for v in range(1, last) for o in INTERIOR if o != names[v]]
        edits += [(names, [e for e in edges if e != gone]) for gone in edges]
        edits += [(names, [*edges, pair]) for pair in pairs if pair not in edges]
        # A new vertex takes the number of the output, which moves up by one.
        moved = [(i, j + (j == last)) for i, j in edges]
        edits += [
            ([*names[:last], o, "output"], [*moved, (i, last), (last, j + (j == last))])
            for i, j in pairs
            for o in INTERIOR
        ]
        cells = [c for c in (pruned(*edit) for edit in edits) if c is not None and fits(c)]
        keys = graph_keys(Cells.of([architecture, *cells], VOCABULARY))
        _, first = np.unique(keys, return_index=True)
        return [cells[m - 1] for m in np.sort(first) if m > 0]

    def recognises(self, text: str) -> bool:
        """Whether the text has one bar and no ``~``, or begins as a JSON object and names an adjacency."""
        return looks_like_cell(text)

    def parse(self, text: str) -> Architecture:
        """The cell that ``text`` describes, pruned as the official benchmark prunes it.

        Vertices that are not on a path from input to output are dropped; the rest is put in topological order.
        Raises BadArchitecture on an unknown operation, a cycle, a disconnected output, or a cell too large.
        """
        names, edges = read_json(text) if is_object(text) else read_text(text)
        for (source, target), times in Counter(edges).items():
            if times > 1:
                raise BadArchitecture(f"edge {source}->{target} occurs {times} times; a cell has simple edges only")
        topological_order(len(names), edges)
        cell = pruned(names, edges)
        if cell is None:
            raise BadArchitecture(
                f"no path leads from the input (vertex 0) to the output (vertex {len(names) - 1}); "
                "add the missing edges"
            )
        check_size(cell)
        return cell

    def format(self, architecture: Architecture) -> str:
        """The cell as text. Raises BadArchitecture where it is not in this space."""
        check(architecture)
        names = [op.kind for op in architecture.ops[1:-1]]
        return " ".join([*names, "|", *(f"{i}{j}" for i, j in architecture.edges)])

    def unroll(self, architecture: Architecture) -> Architecture:
        """The network that the benchmark trained: three stacks of three cells from 128 channels on, one CIFAR-10 image.

        Raises BadArchitecture where it is not in this space.
        """
        check(architecture)
        return network(architecture)

    def enumerate(self) -> Cells:
        """All 423,624 cells, by number of vertices; one of each set of isomorphic cells.

        Sort them by ``module_hash`` to have them in the order of the benchmark.
        """
        return with_vertices(range(2, MAX_VERTICES + 1))

    def same(self, cells: Cells) -> NDArray[np.uint64]:
        """(M,) keys, equal for isomorphic cells."""
        return graph_keys(cells)


def from_strings(n_vertices: ArrayLike, adjacencies: Sequence[str], operations: Sequence[str]) -> Cells:
    """Columns of M cells from their compact strings.

    n_vertices:  (M,) number of vertices v of each cell
    adjacencies: strict upper triangle row by row, v(v-1)/2 characters '0' or '1'
    operations:  one digit per interior vertex, in the benchmark's order: 0 conv3x3, 1 conv1x1, 2 maxpool3x3

    Raises BadArchitecture and names the row where a string has a wrong length or character. The graphs are used
    unchanged, neither pruned nor counted.
    """
    n_M = np.asarray(n_vertices, dtype=np.int64)
    bits_ME, digits_MI = _characters(adjacencies), _characters(operations)
    if not len(n_M) == len(bits_ME) == len(digits_MI):
        raise BadArchitecture(
            f"{len(n_M)} vertex counts, {len(bits_ME)} adjacencies and {len(digits_MI)} lists of operations given; "
            "expected as many of each"
        )
    _refuse((n_M < 2) | (n_M > MAX_VERTICES), "a number of vertices outside 2 to 7")
    _refuse((bits_ME != PADDING).sum(axis=1) != n_M * (n_M - 1) // 2, "an adjacency that is not v(v-1)/2 long")
    _refuse((digits_MI != PADDING).sum(axis=1) != n_M - 2, "not one operation per interior vertex")
    _refuse(np.any((bits_ME < PADDING) | (bits_ME > 1), axis=1), "an adjacency with characters other than 0 and 1")
    _refuse(np.any((digits_MI < PADDING) | (digits_MI > 2), axis=1), "operations with characters other than 0, 1 and 2")

    size = int(n_M.max(initial=0))
    kind_MN = np.full((len(n_M), size), PADDING, dtype=np.int8)
    adj_MNN = np.zeros((len(n_M), size, size), dtype=np.uint8)
    for n in range(2, size + 1):
        rows = np.flatnonzero(n_M == n)
        sources, targets = np.triu_indices(n, 1)
        adj_MNN[rows[:, None], sources, targets] = bits_ME[rows, : len(sources)]
        kind_MN[rows, 0] = VOCABULARY.index("input")
        kind_MN[rows, 1 : n - 1] = _FROM_OFFICIAL[digits_MI[rows, : n - 2]]
        kind_MN[rows, n - 1] = VOCABULARY.index("output")
    return Cells(VOCABULARY, kind_MN, adj_MNN)


def _characters(strings: Sequence[str]) -> NDArray[np.int64]:
    """(M, longest) distance of each character from '0', PADDING after the end of a string."""
    text = np.asarray(strings).astype(np.str_)
    width = max(1, text.dtype.itemsize // 4)
    codes = np.ascontiguousarray(text).view(np.uint32).reshape(len(text), width).astype(np.int64)
    return np.where(codes == 0, PADDING, np.where(codes < ord("0"), PADDING - 1, codes - ord("0")))


def _refuse(bad_M: NDArray[np.bool_], fault: str) -> None:
    if bad_M.any():
        raise BadArchitecture(f"row {int(np.argmax(bad_M))} has {fault} ({int(bad_M.sum())} such rows)")
