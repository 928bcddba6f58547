"""Random networks on the graphs of cells: their outputs distinguish cells, and no labels are needed.

Letters: M cells, N vertices, C operations of the vocabulary, K networks, D width of each.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from narformer.cells.columns import PADDING, Cells

__all__ = ["last_states"]

Real = TypeVar("Real", np.float32, np.float64)


def last_states(cells: Cells, weight_KCDD: NDArray[Real], bias_KCD: NDArray[Real]) -> NDArray[Real]:
    """(M, K·D) h of the last vertex, where h_v = tanh(W_op(v) Σ_parents h + b_op(v)); in the precision of the weights.

    A parent with several edges to v is added several times.
    """
    K, C, D = bias_KCD.shape
    kind_MN = np.where(cells.kind_MN == PADDING, 0, cells.kind_MN)
    M, N = kind_MN.shape
    adj_MNN = cells.adj_MNN.astype(weight_KCDD.dtype)
    hidden_MNX = np.zeros((M, N, K * D), dtype=weight_KCDD.dtype)
    for v in range(N):
        summed_MKD = np.matmul(adj_MNN[:, None, :v, v], hidden_MNX[:, :v]).reshape(M, K, D)
        for kind in range(C):
            rows = np.flatnonzero(kind_MN[:, v] == kind)
            if len(rows):
                turned_KMD = summed_MKD[rows].transpose(1, 0, 2) @ weight_KCDD[:, kind] + bias_KCD[:, kind, None]
                hidden_MNX[rows, v] = np.tanh(turned_KMD).transpose(1, 0, 2).reshape(len(rows), -1)
    return hidden_MNX[np.arange(M), cells.count_M - 1]
