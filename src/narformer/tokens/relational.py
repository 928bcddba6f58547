"""The tokenizer of our own predictor: operations and directed edges, nothing else.

The model derives the relations between operations, such as parent or parallel (models/relational.py).
"""

import numpy as np
import torch
from pydantic.dataclasses import dataclass

from narformer.cells.columns import PADDING, Cells
from narformer.cells.simplification import simplified as without_identities
from narformer.tokens.batch import Batch
from narformer.tokens.tokenizer import STRICT, CellTokenizer, Names


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RelationalTokenizer(CellTokenizer):
    """Token i = index of op_i; A counts edges. Vertices that compute nothing are removed first.

    absent:     operations that are dropped with their edges (``none``)
    identities: operations that are merged into their consumers (``skip_connect``)
    """

    absent: Names = ()
    identities: Names = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for kind in (*self.absent, *self.identities):
            if kind not in self.vocabulary:
                raise ValueError(
                    f"absent, identities: found {kind!r}; expected operations among {', '.join(self.vocabulary)}"
                )

    @property
    def features(self) -> int:
        """0: a token has no numbers except the operation."""
        return 0

    def simplified(self, cells: Cells) -> Cells:
        """The cells without vertices that compute nothing."""
        return without_identities(cells, self.absent, self.identities) if self.absent or self.identities else cells

    def cells(self, cells: Cells) -> Batch:
        """A column of cells as a Batch of at most N tokens."""
        cells = self.simplified(cells)
        real_MN = cells.kind_MN != PADDING
        return Batch(
            torch.zeros(*real_MN.shape, 0),
            torch.from_numpy(np.where(real_MN, cells.kind_MN, 0).astype(np.int64)),
            torch.from_numpy(cells.adj_MNN.astype(np.float32)),
            torch.from_numpy(real_MN),
            torch.zeros(len(cells), 0),
        )
