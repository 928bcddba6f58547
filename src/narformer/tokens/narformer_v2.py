"""The tokenizer of NAR-Former V2 (NeurIPS 2023) for cells: operation and position; the topology is the adjacency.

Letters: M cells, N vertices (padded), C numbers per scalar code (2L).
"""

from typing import Literal

import numpy as np
import torch
from pydantic.dataclasses import dataclass

from narformer.cells.columns import PADDING, Cells
from narformer.tokens.batch import Batch
from narformer.tokens.scalar import Precision, nerf_table
from narformer.tokens.tokenizer import STRICT, CellTokenizer, Length


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NarFormerV2Tokenizer(CellTokenizer):
    """t_i = (op_i, f(i)): the operation as scalar code x.

    length: L of each scalar code. A one-hot operation has 2L numbers as well, so that the widths agree.
    """

    length: Length = 32
    operation: Literal["pe", "one-hot"] = "pe"
    precision: Precision = "float64"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.precision == "float32" and self.length > 100:
            raise ValueError(f"length: found {self.length}; expected at most 100, where float32 holds all frequencies")
        if self.operation == "one-hot" and len(self.vocabulary) > 2 * self.length:
            raise ValueError(
                f"length: found {self.length}; expected at least {(len(self.vocabulary) + 1) // 2}, "
                f"half of the {len(self.vocabulary)} operations, for a one-hot operation"
            )

    @property
    def features(self) -> int:
        """4L: operation and position, 2L numbers each."""
        return 4 * self.length

    def cells(self, cells: Cells) -> Batch:
        """A column of cells as a Batch of N tokens."""
        N = cells.kind_MN.shape[1]
        kinds, C = len(self.vocabulary), 2 * self.length
        real_MN = cells.kind_MN != PADDING
        if self.operation == "pe":
            op_VC = nerf_table(range(kinds), self.length, self.precision)
        else:
            op_VC = np.eye(kinds, C, dtype=np.float32)
        position_NC = nerf_table(range(N), self.length, self.precision)
        x_MNF = np.concatenate([op_VC[cells.kind_MN], np.broadcast_to(position_NC, (len(cells), N, C))], axis=2)
        x_MNF *= real_MN[:, :, None]
        return Batch(
            torch.from_numpy(x_MNF),
            torch.from_numpy(np.where(real_MN, cells.kind_MN, 0).astype(np.int64)),
            torch.from_numpy(cells.adj_MNN.astype(np.float32)),
            torch.from_numpy(real_MN),
            torch.zeros(len(cells), 0),
        )
