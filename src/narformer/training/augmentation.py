"""Information-flow-consistency augmentation (NAR-Former Sec. 3.4): the same cell with its vertices in another order.

Letters: M cells, N vertices, K reorderings of all cells together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from narformer.cells.columns import Cells
from narformer.tokens import Batch, CellTokenizer

Rule = Literal["swap", "first", "all", "unrestricted"]


@dataclass(frozen=True, eq=False)
class Twins:
    """Reorderings of cells, grouped by the cell they belong to.

    cells:   K reordered cells
    first_M: row of each cell's first reordering; its others follow
    count_M: number of reorderings of each cell
    """

    cells: Cells
    first_M: NDArray[np.int64]
    count_M: NDArray[np.int64]

    def draw(self, originals: Cells, rng: np.random.Generator) -> Cells:
        """One random reordering of each cell; a cell without reorderings is its own twin."""
        picked_M = self.first_M + (rng.random(len(originals)) * self.count_M).astype(np.int64)
        has_M = self.count_M > 0
        kind_MN, adj_MNN = originals.kind_MN.copy(), originals.adj_MNN.copy()
        kind_MN[has_M] = self.cells.kind_MN[picked_M[has_M]]
        adj_MNN[has_M] = self.cells.adj_MNN[picked_M[has_M]]
        return Cells(originals.vocabulary, kind_MN, adj_MNN)


def twins(cells: Cells, rule: Rule) -> Twins:
    """The distinct reorderings of each cell's interior vertices, input and output staying in place.

    ``all`` keeps every order in which edges still point forward; ``unrestricted`` every order at all (the
    isomorphic augmentation the paper compares with). As released: ``swap`` (V1) tries only the exchange of
    the last two interior vertices, ``first`` (V2) takes the first order that works.
    """
    M, N = cells.kind_MN.shape
    forward_NN = np.triu(np.ones((N, N), dtype=bool), 1)
    owners, kinds, adjs = [], [], []
    for count in range(4, N + 1):
        rows = np.flatnonzero(cells.count_M == count)
        if not len(rows):
            continue
        missing = np.ones(len(rows), dtype=bool)
        orders = [order for order in permutations(range(1, count - 1)) if order != tuple(range(1, count - 1))]
        for interior in orders[:1] if rule == "swap" else orders:
            order_N = np.array([0, *interior, *range(count - 1, N)])
            kind_RN = cells.kind_MN[rows][:, order_N]
            adj_RNN = cells.adj_MNN[rows][:, order_N][:, :, order_N]
            keep = (kind_RN != cells.kind_MN[rows]).any(1) | (adj_RNN != cells.adj_MNN[rows]).any((1, 2))
            if rule != "unrestricted":
                keep &= ~(adj_RNN * ~forward_NN).any((1, 2))
            if rule == "first":
                keep &= missing
                missing &= ~keep
            owners.append(rows[keep])
            kinds.append(kind_RN[keep])
            adjs.append(adj_RNN[keep])
    if not owners:
        none = cells.take(slice(0, 0))
        return Twins(none, np.zeros(M, dtype=np.int64), np.zeros(M, dtype=np.int64))
    owner_K, kind_KN, adj_KNN = np.concatenate(owners), np.concatenate(kinds), np.concatenate(adjs)
    key_KX = np.concatenate([owner_K[:, None], kind_KN, adj_KNN.reshape(len(owner_K), N * N)], axis=1)
    _, distinct_K = np.unique(key_KX, axis=0, return_index=True)  # sorted by owner first
    owner_K = owner_K[distinct_K]
    return Twins(
        Cells(cells.vocabulary, kind_KN[distinct_K], adj_KNN[distinct_K]),
        np.searchsorted(owner_K, np.arange(M)),
        np.bincount(owner_K, minlength=M),
    )


def twin_batches(
    cells: Cells, rule: Rule | Literal["none"], tokenizer: CellTokenizer
) -> Callable[[np.random.Generator], Batch] | None:
    """A function that draws a batch of one twin of each cell; None for the rule ``none``."""
    if rule == "none":
        return None
    of_cells = twins(cells, rule)
    return lambda rng: tokenizer.batch(of_cells.draw(cells, rng))
