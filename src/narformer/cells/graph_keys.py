"""A fast key of a cell as a graph: equal for cells that differ only in the order of their vertices.

The colour of every vertex is refined by the colours of its neighbours, as often as there are vertices, as in the hash
of google-research/nasbench. Letters: M cells, N vertices.
"""

import numpy as np
from numpy.typing import NDArray

from narformer.cells.columns import PADDING, Cells
from narformer.cells.mixing import mix

__all__ = ["graph_keys"]


def graph_keys(cells: Cells) -> NDArray[np.uint64]:
    """(M,) numbers, equal for isomorphic cells; they differ wherever refined colours differ. 64-bit array code."""
    kind_MN, adj_MNN = cells.kind_MN, cells.adj_MNN.astype(np.uint64)
    real_MN = (kind_MN != PADDING).astype(np.uint64)
    degrees_MN = adj_MNN.sum(axis=1) * np.uint64(64) + adj_MNN.sum(axis=2) * np.uint64(8)
    colour_MN = mix(degrees_MN * np.uint64(16) + (kind_MN + 1).astype(np.uint64)) * real_MN
    for _ in range(kind_MN.shape[1]):
        into_MN = np.einsum("mij,mi->mj", adj_MNN, mix(colour_MN))
        from_MN = np.einsum("mij,mj->mi", adj_MNN, mix(colour_MN + np.uint64(1)))
        colour_MN = mix(mix(mix(into_MN) + from_MN) + colour_MN) * real_MN
    return np.asarray(mix(colour_MN * real_MN).sum(axis=1, dtype=np.uint64))
