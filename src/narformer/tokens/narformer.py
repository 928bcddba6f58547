"""The tokenizer of NAR-Former (CVPR 2023, Sec. 3.2): operation, position and source positions of each node.

Letters: M cells, N vertices (padded), C numbers per scalar code (2L).
"""

from functools import partial

import numpy as np
import torch
from pydantic.dataclasses import dataclass
from torch.nn import functional

from narformer.cells.columns import PADDING, Cells
from narformer.tokens.batch import Batch
from narformer.tokens.scalar import Precision, nerf_code, nerf_table
from narformer.tokens.tokenizer import STRICT, CellTokenizer, Length

END = 100_000  # "a value that is unlikely to appear in the architecture code"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NarFormerTokenizer(CellTokenizer):
    """t_i = (f(op_i), f(i), Σ_{j parent of i} f(j)), then the end token f(1e5) three times (Eq. 1, 2, 6-8).

    The first node's source is f(-1); a later node without parents gets f(0), as released. ``whole`` is the
    code of the depth (number of vertices), which the model turns into the depth token (Eq. 9).
    length: L of each scalar code.
    """

    length: Length = 32
    precision: Precision = "float64"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.precision == "float32" and self.length > 40:
            raise ValueError(f"length: found {self.length}; expected at most 40, where float32 holds all frequencies")

    @property
    def features(self) -> int:
        """6L: three codes of 2L numbers."""
        return 6 * self.length

    @property
    def kinds(self) -> int:
        """The operations and the end token."""
        return len(self.vocabulary) + 1

    @property
    def whole(self) -> int:
        """6L: the depth code is as long as a token."""
        return 6 * self.length

    def cells(self, cells: Cells) -> Batch:
        """A column of cells as a Batch of N + 1 tokens (nodes, then the end token)."""
        M, N = cells.kind_MN.shape
        row_M, count_M = np.arange(M), cells.count_M
        real_MN = cells.kind_MN != PADDING
        end, nothing = len(self.vocabulary), len(self.vocabulary) + 1
        kind_MN = np.full((M, N + 1), nothing)
        kind_MN[:, :N][real_MN] = cells.kind_MN[real_MN]
        kind_MN[row_M, count_M] = end
        position_MN = np.where(kind_MN == nothing, N + 1, np.arange(N + 1))
        position_MN[row_M, count_M] = N

        # Counts whose product with the codes is each token's source: positions 0 … N-1, then f(1e5), then f(-1)
        source_MNS = np.zeros((M, N + 1, N + 2), dtype=np.float32)
        source_MNS[:, :N, :N] = cells.adj_MNN.transpose(0, 2, 1)
        source_MNS[:, :N, 0][real_MN & (cells.adj_MNN.sum(axis=1) == 0)] = 1
        source_MNS[row_M, count_M, N] = 1
        source_MNS[:, 0] = 0
        source_MNS[:, 0, N + 1] = 1

        code = partial(nerf_code, length=self.length, precision=self.precision)
        end_C, zero_C = code(END), np.zeros_like(code(END))
        op_VC = np.stack([*(code(kind) for kind in range(end)), end_C, zero_C])
        position_NC = np.stack([*(code(position) for position in range(N)), end_C, zero_C])
        source_SC = np.stack([*(code(position) for position in range(N)), end_C, code(-1)])
        x_MNF = torch.cat(
            [
                functional.embedding(torch.from_numpy(kind_MN), torch.from_numpy(op_VC)),
                functional.embedding(torch.from_numpy(position_MN), torch.from_numpy(position_NC)),
                torch.from_numpy(source_MNS) @ torch.from_numpy(source_SC),
            ],
            dim=2,
        )
        adj_MNN = np.zeros((M, N + 1, N + 1), dtype=np.float32)
        adj_MNN[:, :N, :N] = cells.adj_MNN
        depth_NG = nerf_table(range(N + 1), 3 * self.length, self.precision)
        return Batch(
            x_MNF,
            torch.from_numpy(np.where(kind_MN == nothing, 0, kind_MN)),
            torch.from_numpy(adj_MNN),
            torch.from_numpy(kind_MN != nothing),
            torch.from_numpy(depth_NG[count_M]),
        )
