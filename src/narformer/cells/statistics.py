"""Statistics of the structure of a cell: counts, paths, degrees, and the output of a random network. No training.

Such features alone predict accuracies well (GRAF, Kadlecová et al., ICML 2024). Here they are also the targets of
pre-training. Array code over all cells, one sweep over the vertices.

Letters: M cells, N vertices, C operations of the vocabulary, S statistics, D width of the random network.
"""

import numpy as np
from numpy.typing import NDArray

from narformer.cells.columns import Cells
from narformer.cells.random_networks import last_states

__all__ = ["statistics", "structure"]

Float = NDArray[np.float64]

RANDOM_WIDTH, RANDOM_OUTPUTS, RANDOM_SEED = 8, 2, 0
_NEVER = -1e6  # its magnitude is larger than any path length, so that a maximum ignores it


def statistics(vocabulary: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the S statistics, in their order."""
    return (
        *(f"count of {kind}" for kind in vocabulary),
        *(f"most {kind} on a path" for kind in vocabulary),
        *(f"least {kind} on a path" for kind in vocabulary),
        *("vertices", "edges", "longest path", "shortest path", "log of paths"),
        *("edges of the first vertex", "edges of the last vertex", "most edges into a vertex"),
        *(f"random network {i}" for i in range(RANDOM_OUTPUTS)),
    )


def structure(cells: Cells) -> Float:
    """(M, S) statistics of the paths from the first vertex of each cell to its last; lengths are 0 without a path."""
    kind_MN, adj_MNN = cells.kind_MN, cells.adj_MNN.astype(np.float64)
    M, N = kind_MN.shape
    last_M = cells.count_M - 1
    rows_M = np.arange(M)
    is_MNC = (kind_MN[:, :, None] == np.arange(len(cells.vocabulary))).astype(np.float64)
    weight_MNW = np.concatenate([is_MNC, np.ones((M, N, 1))], axis=2)  # the last counts vertices: a path's length
    most_MNW, least_MNW = np.full_like(weight_MNW, _NEVER), np.full_like(weight_MNW, -_NEVER)
    most_MNW[:, 0] = least_MNW[:, 0] = weight_MNW[:, 0]
    paths_MN = np.zeros((M, N))
    paths_MN[:, 0] = 1
    for v in range(1, N):
        edge_MV1 = (adj_MNN[:, :v, v] > 0)[:, :, None]
        most_MNW[:, v] = np.where(edge_MV1, most_MNW[:, :v], _NEVER).max(axis=1) + weight_MNW[:, v]
        least_MNW[:, v] = np.where(edge_MV1, least_MNW[:, :v], -_NEVER).min(axis=1) + weight_MNW[:, v]
        paths_MN[:, v] = (adj_MNN[:, :v, v] * paths_MN[:, :v]).sum(axis=1)
    paths_M = paths_MN[rows_M, last_M]
    joined_M1 = (paths_M > 0)[:, None]
    most_MW = np.where(joined_M1, most_MNW[rows_M, last_M], 0)
    least_MW = np.where(joined_M1, least_MNW[rows_M, last_M], 0)
    into_MN = adj_MNN.sum(axis=1)
    columns = [
        is_MNC.sum(axis=1),
        most_MW[:, :-1],
        least_MW[:, :-1],
        cells.count_M[:, None],
        adj_MNN.sum(axis=(1, 2))[:, None],
        most_MW[:, -1:],
        least_MW[:, -1:],
        np.log1p(paths_M)[:, None],
        adj_MNN[:, 0].sum(axis=1)[:, None],
        into_MN[rows_M, last_M][:, None],
        into_MN.max(axis=1, initial=0)[:, None],
        _random_network(cells),
    ]
    return np.concatenate(columns, axis=1)


def _random_network(cells: Cells) -> Float:
    """(M, outputs) linear readout of a fixed random network on each cell."""
    rng = np.random.default_rng(RANDOM_SEED)
    C, D = len(cells.vocabulary), RANDOM_WIDTH
    weight_CDD, bias_CD = rng.standard_normal((C, D, D)) * D**-0.5, rng.standard_normal((C, D))
    read_DR = rng.standard_normal((D, RANDOM_OUTPUTS)) * D**-0.5
    return np.asarray(last_states(cells, weight_CDD[None], bias_CD[None]) @ read_DR)
