"""Removes operations that compute nothing from cells, so that cells of the same function have the same graph."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from narformer.cells.columns import MOST_EDGES, PADDING, Cells

__all__ = ["simplified"]


def simplified(cells: Cells, absent: Sequence[str] = (), identities: Sequence[str] = ()) -> Cells:
    """The cells without vertices that compute nothing; the first vertex is the input, the last the output.

    Operations called ``absent`` are dropped with their edges. ``identities`` are merged into their consumers: the
    adjacency counts how often a value is added. Vertices without a path from the input or to the output are dropped.
    If no path connects input and output, only these two remain, without an edge.
    """
    kind_MN, adj_MNN = cells.kind_MN, cells.adj_MNN.astype(np.int64)
    M, N = kind_MN.shape
    identity_MN, absent_MN = _is(cells, identities), _is(cells, absent)
    last_M = cells.count_M - 1
    for v in range(1, N - 1):
        inside_M = v < last_M
        through_MNN = adj_MNN[:, :, v, None] * adj_MNN[:, v, None, :]
        adj_MNN += through_MNN * (identity_MN[:, v] & inside_M)[:, None, None]
        np.minimum(adj_MNN, MOST_EDGES, out=adj_MNN)
        stays_M1 = ~((identity_MN[:, v] | absent_MN[:, v]) & inside_M)[:, None]
        adj_MNN[:, :, v] *= stays_M1
        adj_MNN[:, v, :] *= stays_M1

    ahead_MN, behind_MN = np.zeros((M, N), dtype=bool), np.zeros((M, N), dtype=bool)
    ahead_MN[:, 0] = behind_MN[np.arange(M), last_M] = True
    for v in range(1, N):  # edges point forward, so one sweep per direction is enough
        ahead_MN[:, v] |= (ahead_MN & (adj_MNN[:, :, v] > 0)).any(axis=1)
        u = N - 1 - v
        behind_MN[:, u] |= (behind_MN & (adj_MNN[:, u, :] > 0)).any(axis=1)
    live_MN = ahead_MN & behind_MN
    adj_MNN *= live_MN[:, :, None] & live_MN[:, None, :]
    live_MN[:, 0] = live_MN[np.arange(M), last_M] = True

    order_MN = np.argsort(~live_MN, axis=1, kind="stable")
    kind_MN = np.take_along_axis(np.where(live_MN, kind_MN, PADDING), order_MN, axis=1)
    adj_MNN = np.take_along_axis(adj_MNN, order_MN[:, :, None], axis=1)
    adj_MNN = np.take_along_axis(adj_MNN, order_MN[:, None, :], axis=2)
    return Cells(cells.vocabulary, kind_MN.astype(np.int8), adj_MNN.astype(np.uint8)).trimmed()


def _is(cells: Cells, kinds: Sequence[str]) -> NDArray[np.bool_]:
    return np.isin(cells.kind_MN, [cells.vocabulary.index(kind) for kind in kinds])
