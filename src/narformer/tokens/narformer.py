"""The tokenizer of NAR-Former (CVPR 2023, Sec. 3.2): operation, own position and source positions of each node.

Letters: M cells, N vertices (padded), C numbers per scalar code (2L).
"""

from dataclasses import dataclass

import numpy as np
import torch

from narformer.arch.cells import PADDING, Cells
from narformer.tokens.batch import Batch
from narformer.tokens.scalar import Precision, nerf_code, nerf_table
from narformer.tokens.tokenizer import Tokenizer

END = 100_000  # "a value that is unlikely to appear in the architecture code"


@dataclass(frozen=True, kw_only=True)
class NarFormerTokenizer(Tokenizer):
    """t_i = (f(op_i), f(i), Σ_{j parent of i} f(j)), then the end token f(1e5) three times (Eq. 1, 2, 6-8).

    The first node's source is f(-1); a later node without parents gets f(0), as released. ``whole`` is the
    code of the depth (number of vertices), which the model turns into the depth token (Eq. 9).
    length: L of each scalar code.
    """

    length: int = 32
    precision: Precision = "float64"

    @property
    def features(self) -> int:
        """6L: three codes of 2L numbers."""
        return 6 * self.length

    @property
    def whole(self) -> int:
        """6L: the depth code is as long as a token."""
        return 6 * self.length

    def cells(self, cells: Cells) -> Batch:
        """A column of cells as a Batch of N + 1 tokens (nodes, then the end token)."""
        M, N = cells.kind_MN.shape
        C = 2 * self.length
        count_M = cells.count_M
        real_MN = cells.kind_MN != PADDING
        op_VC = nerf_table(range(len(self.vocabulary)), self.length, self.precision)
        position_NC = nerf_table(range(N), self.length, self.precision)
        end_C = nerf_code(END, self.length, self.precision)

        source_MNN = cells.adj_MNN.transpose(0, 2, 1).astype(np.float32)
        rootless_MN = real_MN & (cells.adj_MNN.sum(axis=1) == 0)
        source_MNC = (source_MNN.reshape(M * N, N) @ position_NC).reshape(M, N, C)
        source_MNC[rootless_MN] = position_NC[0] if N else 0
        source_MNC[:, :1] = nerf_code(-1, self.length, self.precision)

        x_MNF = np.zeros((M, N + 1, 3 * C), dtype=np.float32)
        x_MNF[:, :N, :C] = op_VC[cells.kind_MN]
        x_MNF[:, :N, C : 2 * C] = position_NC
        x_MNF[:, :N, 2 * C :] = source_MNC
        x_MNF[:, :N] *= real_MN[:, :, None]
        x_MNF[np.arange(M), count_M] = np.tile(end_C, 3)

        kind_MN = np.zeros((M, N + 1), dtype=np.int64)
        kind_MN[:, :N] = np.where(real_MN, cells.kind_MN, 0)
        kind_MN[np.arange(M), count_M] = len(self.vocabulary)
        adj_MNN = np.zeros((M, N + 1, N + 1), dtype=np.float32)
        adj_MNN[:, :N, :N] = cells.adj_MNN
        depth_NG = nerf_table(range(N + 1), 3 * self.length, self.precision)
        return Batch(
            torch.from_numpy(x_MNF),
            torch.from_numpy(kind_MN),
            torch.from_numpy(adj_MNN),
            torch.from_numpy(np.arange(N + 1) <= count_M[:, None]),
            torch.from_numpy(depth_NG[count_M]),
        )
