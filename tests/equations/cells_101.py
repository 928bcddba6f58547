"""NAS-Bench-101 cells of every size from two to seven vertices, as lists and as columns."""

import numpy as np

from narformer.cells.columns import PADDING, Cells
from narformer.spaces.nasbench101 import VOCABULARY, NasBench101
from narformer.spaces.nasbench101_cell import INTERIOR, fits, pruned


def some_cells(count: int, seed: int = 0) -> Cells:
    """``count`` different cells of two to seven vertices: each vertex reads a random one before it, and more."""
    space, rng = NasBench101(), np.random.default_rng(seed)
    cells = [space.parse("| 01"), space.parse("maxpool3x3 | 01 12")]
    while len(cells) < count:
        size = int(rng.integers(4, 8))
        edges = {(int(rng.integers(0, v)), v) for v in range(1, size)}
        edges |= {(v, int(rng.integers(v + 1, size))) for v in range(size - 1) if rng.random() < 0.5}
        cell = pruned(["input", *rng.choice(INTERIOR, size - 2), "output"], sorted(edges))
        if cell is not None and fits(cell) and cell not in cells:
            cells.append(cell)
    return Cells.of(cells, VOCABULARY)


def lists(cells: Cells, row: int) -> tuple[list[int], list[tuple[int, int]]]:
    """Operation indices and edges of one cell."""
    kinds = cells.kind_MN[row]
    sources, targets = np.nonzero(cells.adj_MNN[row])
    return kinds[kinds != PADDING].tolist(), list(zip(sources.tolist(), targets.tolist(), strict=True))
